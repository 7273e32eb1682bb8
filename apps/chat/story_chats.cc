#include "apps/chat/story_chats.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/text/grammar_notation.h"
#include "apps/text/stories.h"
#include "apps/text/stories_grammar.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::uint64_t kStoryStream = 21, kTrainStream = 22, kHeldOutStream = 23;
constexpr std::size_t kQuestions = 3;  // in a conversation

using Row = std::vector<std::string>;

// The lists of the grammar: the words that stories are about.
const notation::List& list(std::string_view name) {
  static const notation::Text grammar = notation::parse(kStoryGrammar);
  const auto found = std::find_if(grammar.lists.begin(), grammar.lists.end(),
                                  [&](const notation::List& one) { return one.name == name; });
  if (found == grammar.lists.end())
    fail("story chats: the grammar has no list ", name, ", expected a list with this name");
  return *found;
}

// A story's text, in which whole words can be found.
class StoryText {
 public:
  explicit StoryText(std::string_view text) : text_(text) {}

  // Whether the phrase occurs in the text as whole words.
  bool has(std::string_view phrase) const {
    for (std::size_t at = 0; (at = text_.find(phrase, at)) != std::string_view::npos; ++at) {
      const std::size_t end = at + phrase.size();
      const bool begins = at == 0 || !is_letter(text_[at - 1]);
      if (begins && (end == text_.size() || !is_letter(text_[end]))) return true;
    }
    return false;
  }
  // Returns the first row of a list for which the story has the phrase `phrase(row)`, or nothing.
  std::optional<Row> row(std::string_view name, const std::function<std::string(const Row&)>& phrase) const {
    for (const Row& row : list(name).rows) {
      if (has(phrase(row))) return row;
    }
    return std::nullopt;
  }

 private:
  static bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

  std::string_view text_;
};

std::string first_cell(const Row& row) {
  return row[0];
}

// The facts that a story tells. A member is empty if the story does not tell this fact.
struct Facts {
  std::string hero;         // "Tom"
  std::string boy;          // "boy" or "girl"
  std::string thing;        // "kite": there is one thing with a colour in a story
  std::string a, colour;    // "a", "red"
  std::string place;        // "in the garden"
  std::string friend_name;  // "Pip"
  std::string animal;       // "owl"
  std::string an;           // the animal's article
};

Facts facts_of(const StoryText& story) {
  Facts facts;
  const auto hero = story.row("hero", [&](const Row& row) {
    return (story.has("named " + row[0] + ".") ? "named " : "called ") + row[0] + ".";
  });
  if (hero) facts.hero = (*hero)[0], facts.boy = (*hero)[1];
  for (const Row& thing : list("thing").rows) {
    const auto colour =
        story.row("colour", [&](const Row& row) { return row[1] + " " + thing[0]; });  // a, red
    if (colour) facts.thing = thing[0], facts.a = (*colour)[0], facts.colour = (*colour)[1];
  }
  const auto place = story.row("place", [](const Row& row) { return row[0] + " the " + row[1]; });
  if (place) facts.place = (*place)[0] + " the " + (*place)[1];
  if (const auto name = story.row("friend_name", first_cell)) facts.friend_name = (*name)[0];
  if (const auto animal = story.row("animal", [](const Row& row) { return row[1]; }))
    facts.an = (*animal)[0], facts.animal = (*animal)[1];
  return facts;
}

// The questions about what happened. Each plot has its own words (stories_grammar.cc).
void add_plot_questions(const StoryText& story, const Facts& f, std::vector<QuestionAnswer>& out) {
  const auto hero_did = [&](const std::string& what) { return story.has(f.hero + " " + what); };
  const auto ask = [&](const std::string& question, const std::string& answer) {
    out.push_back({question, answer});
  };
  if (hero_did("lost")) {
    ask("Who lost the " + f.thing + "?", f.hero + " lost the " + f.thing + ".");
    ask("Who found the " + f.thing + "?", f.friend_name + " found the " + f.thing + ".");
  }
  if (hero_did("found a") && story.has("wanted to keep it")) {
    ask("Who found the " + f.thing + "?", f.hero + " found the " + f.thing + ".");
    if (const auto elder = story.row("elder", first_cell))
      ask("Who lost the " + f.thing + "?", "The " + (*elder)[0] + " lost the " + f.thing + ".");
  }
  if (story.has("I lost my")) {
    ask("Who lost the " + f.thing + "?", f.friend_name + " lost the " + f.thing + ".");
    ask("Who found the " + f.thing + "?", f.hero + " found the " + f.thing + ".");
  }
  if (const auto skill = story.row("skill", [](const Row& row) { return "could " + row[0]; }))
    ask("What could " + f.hero + " do at last?", f.hero + " could " + (*skill)[0] + ".");
  if (hero_did("broke")) ask("What did " + f.hero + " break?", f.hero + " broke the " + f.thing + ".");
  if (story.has("I wish for"))
    ask("What did " + f.hero + " wish for?",
        f.hero + " wished for " + f.a + " " + f.colour + " " + f.thing + ".");
  if (story.has("hide and seek")) ask("Who was hiding?", f.friend_name + " was hiding.");
}

std::string story_text(const Story& story) {
  return story_tokenizer().decode(std::span(story.tokens).subspan(1));
}

// Writes `count` lines into a file.
void write_lines(const std::string& path, std::int64_t count, const std::function<std::string()>& line) {
  AtomicFile file(path);
  std::string text;
  for (std::int64_t i = 0; i < count; ++i) {
    text += line();
    if (text.size() < (std::size_t{1} << 16) && i + 1 < count) continue;
    file.write(text);
    text.clear();
  }
  file.commit();
}

}  // namespace

std::vector<QuestionAnswer> story_questions(std::string_view text) {
  const StoryText story(text);
  const Facts f = facts_of(story);
  if (f.hero.empty()) fail("story chats: the text has no hero, expected a story of the default grammar");
  std::vector<QuestionAnswer> all;
  all.push_back({"Who is the story about?", "The story is about " + f.hero + "."});
  if (!f.thing.empty())
    all.push_back({"Which " + f.thing + " was it?", "It was the " + f.colour + " " + f.thing + "."});
  if (!f.place.empty()) all.push_back({"Where did it happen?", "It happened " + f.place + "."});
  if (!f.friend_name.empty() && !f.animal.empty()) {
    all.push_back({"What was the name of the " + f.animal + "?",
                   "The name of the " + f.animal + " was " + f.friend_name + "."});
    all.push_back({"Who was " + f.friend_name + "?", f.friend_name + " was " + f.an + " " + f.animal + "."});
  }
  add_plot_questions(story, f, all);
  return all;
}

Conversation write_story_chat(Rng& rng) {
  const std::string story = story_text(write_story(rng));
  std::vector<QuestionAnswer> questions = story_questions(story);
  Conversation chat;
  for (std::size_t asked = 0; asked < kQuestions && !questions.empty(); ++asked) {
    const auto chosen = questions.begin() + static_cast<std::ptrdiff_t>(rng.below(questions.size()));
    chat.turns.push_back({Role::user, asked == 0 ? story + " " + chosen->question : chosen->question});
    chat.turns.push_back({Role::assistant, chosen->answer});
    questions.erase(chosen);
  }
  return chat;
}

StoryChatFiles write_story_chats(const std::string& directory, std::uint64_t seed,
                                 const StoryChatCounts& counts) {
  if (counts.stories < 1 || counts.train < 1 || counts.held_out < 1) {
    fail("story chats: the counts are ", counts.stories, " stories, ", counts.train, " training chats and ",
         counts.held_out, " held-out chats, expected at least 1 of each");
  }
  // If the directory cannot be created, writing the first file reports it.
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  const auto path = [&](const char* name) { return (std::filesystem::path(directory) / name).string(); };
  const StoryChatFiles files{path("stories.jsonl"), path("story_chats_train.jsonl"),
                             path("story_chats_held_out.jsonl")};
  Rng story_rng(seed, kStoryStream), train_rng(seed, kTrainStream), held_out_rng(seed, kHeldOutStream);
  write_lines(files.stories, counts.stories, [&] {
    return nlohmann::ordered_json{{"text", story_text(write_story(story_rng))}}.dump() + "\n";
  });
  write_lines(files.train, counts.train, [&] { return to_jsonl(write_story_chat(train_rng)); });
  write_lines(files.held_out, counts.held_out, [&] { return to_jsonl(write_story_chat(held_out_rng)); });
  return files;
}

}  // namespace inkling
