#include "apps/chat/conversations.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/run/format.h"
#include "apps/run/json_bounds.h"
#include "apps/text/file_kind.h"
#include "core/error.h"

namespace inkling {

using nlohmann::json;

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBlanks = " \t\r\n\v\f";

bool blank(std::string_view text) {
  return text.find_first_not_of(kBlanks) == std::string_view::npos;
}

json parse_object(std::string_view line) {
  const json value = parse_bounded_json(line, {.levels = kMostLineLevels, .distinct_keys = false});
  if (!value.is_object()) fail("is a JSON ", value.type_name(), ", expected an object");
  return value;
}

// Returns the text at `key`. `where` is printed before the key in errors.
std::string text_of(const json& object, const char* key, const std::string& where = "") {
  const auto found = object.find(key);
  if (found == object.end()) fail(where, key, " is missing, expected text");
  if (!found->is_string()) fail(where, key, " is a JSON ", found->type_name(), ", expected text");
  std::string text = *found;
  if (blank(text)) fail(where, key, " is empty, expected text");
  return text;
}

// The names of the keys and roles of a form that has a list of turns.
struct TurnList {
  const char *list, *role, *text;
  const char *system, *user, *assistant;
};
constexpr TurnList kTurnLists[] = {{"messages", "role", "content", "system", "user", "assistant"},
                                   {"conversations", "from", "value", "system", "human", "gpt"}};

Role role_of(const TurnList& names, const std::string& name, const std::string& where) {
  if (name == names.system) return Role::system;
  if (name == names.user) return Role::user;
  if (name == names.assistant) return Role::assistant;
  fail(where, names.role, " is ", json(name).dump(-1, ' ', true), ", expected ", names.system, ", ",
       names.user, " or ", names.assistant);
}

Conversation conversation_of(const TurnList& names, const json& list) {
  if (!list.is_array()) fail(names.list, " is a JSON ", list.type_name(), ", expected an array");
  Conversation conversation;
  for (const json& turn : list) {
    const std::string where = str(names.list, "[", conversation.turns.size(), "]");
    if (!turn.is_object()) fail(where, " is a JSON ", turn.type_name(), ", expected an object");
    const Role role = role_of(names, text_of(turn, names.role, where + "."), where + ".");
    conversation.turns.push_back({role, text_of(turn, names.text, where + ".")});
  }
  return conversation;
}

Conversation alpaca_of(const json& object) {
  std::string request = text_of(object, "instruction");
  const auto input = object.find("input");
  if (input != object.end() && !(input->is_string() && blank(input->get_ref<const std::string&>())))
    request += "\n\n" + text_of(object, "input");
  return {{{Role::user, std::move(request)}, {Role::assistant, text_of(object, "output")}}};
}

void check_order(const Conversation& conversation) {
  const std::vector<Turn>& turns = conversation.turns;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (turns[i].role == Role::system && i > 0)
      fail("turn ", i, " is a system turn, expected a system turn only at the beginning");
    if (i == 0 || turns[i].role != turns[i - 1].role) continue;
    fail("turns ", i - 1, " and ", i, " are both ", turns[i].role == Role::user ? "user" : "assistant",
         " turns, expected user and assistant turns to alternate");
  }
  if (std::none_of(turns.begin(), turns.end(), [](const Turn& t) { return t.role == Role::assistant; }))
    fail("has no assistant turn, expected at least one");
}

}  // namespace

JsonlEntry parse_jsonl_line(std::string_view line) {
  if (line.size() > kMostLineBytes)
    fail("the line is too long, expected at most ", kMostLineBytes, " bytes (16 MiB)");
  const json object = parse_object(line);
  for (const TurnList& names : kTurnLists) {
    if (!object.contains(names.list)) continue;
    Conversation conversation = conversation_of(names, object[names.list]);
    check_order(conversation);
    return conversation;
  }
  if (object.contains("instruction")) return alpaca_of(object);
  if (object.contains("text")) return Document{text_of(object, "text")};
  fail("has none of the keys messages, conversations, instruction and text, expected one of them");
}

std::string to_jsonl(const Conversation& conversation) {
  constexpr const char* kRoles[] = {"system", "user", "assistant"};
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  for (const Turn& turn : conversation.turns)
    messages.push_back({{"role", kRoles[static_cast<std::size_t>(turn.role)]}, {"content", turn.text}});
  return nlohmann::ordered_json{{"messages", messages}}.dump(-1, ' ', false,
                                                             nlohmann::json::error_handler_t::replace) +
         "\n";
}

JsonlReader::JsonlReader(std::string name, BadLines bad_lines, Use use, Report report, Documents documents)
    : name_(std::move(name)),
      mode_(bad_lines),
      document_mode_(documents),
      use_(std::move(use)),
      report_(std::move(report)) {}

void JsonlReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::string_view part = bytes.substr(0, newline);
    // A line that is too long is cut off one byte after the limit, so that read_line() sees that it is too
    // long.
    line_.append(part.substr(0, kMostLineBytes + 1 - line_.size()));
    if (newline == std::string_view::npos) return;
    read_line();
    bytes.remove_prefix(newline + 1);
  }
}

void JsonlReader::end() {
  read_line();
  if (conversations_ + documents_ > 0) return;
  fail(
      name_, ": has no conversation", document_mode_ == Documents::use ? " and no document" : "",
      ", expected at least one",
      first_bad_.empty() ? "" : str("; ", format_number_of(bad_, "bad line"), ", the first is ", first_bad_));
}

void JsonlReader::read_line() {
  std::string_view line = line_;
  if (number_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (!blank(line)) {
    std::optional<JsonlEntry> entry;
    try {
      entry = parse_jsonl_line(line);
      if (document_mode_ == Documents::refuse && std::holds_alternative<Document>(*entry)) {
        entry.reset();
        fail("is a document, expected a conversation");
      }
    } catch (const Error& error) {
      refuse_line(error.what());
    }
    if (entry) {
      ++(std::holds_alternative<Conversation>(*entry) ? conversations_ : documents_);
      use_(std::move(*entry), number_);
    }
  }
  line_.clear();
  ++number_;
}

void JsonlReader::refuse_line(const std::string& reason) {
  const std::string message = str(name_, ": line ", number_, ": ", reason);
  if (mode_ == BadLines::fail) fail(message);
  ++bad_;
  if (first_bad_.empty()) first_bad_ = message;
  report_(message);
}

JsonlReader read_jsonl(const std::string& path, JsonlReader::BadLines bad_lines, JsonlReader::Use use,
                       JsonlReader::Report report, std::string name, JsonlReader::Documents documents) {
  const auto close = [](std::FILE* file) {
    if (file != stdin) std::fclose(file);
  };
  const std::unique_ptr<std::FILE, decltype(close)> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"),
                                                         close);
  if (name.empty()) name = path == "-" ? "standard input" : path;
  if (!file) fail(name, ": cannot open: ", std::strerror(errno));
  JsonlReader reader(name, bad_lines, std::move(use), std::move(report), documents);
  std::vector<char> buffer(std::size_t{1} << 16);
  for (bool first = true; const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get());
       first = false) {
    if (first) expect_text(name, {buffer.data(), count});
    reader.feed({buffer.data(), count});
  }
  if (std::ferror(file.get()) != 0) fail(name, ": cannot read: ", std::strerror(errno));
  reader.end();
  return reader;
}

}  // namespace inkling
