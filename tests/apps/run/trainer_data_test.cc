// The data of a run: training and validation shards chosen by name, and the stories, which are generated from
// the run's seed, with their theoretical minimum over rows.
#include <numeric>

#include "apps/run/data_files.h"
#include "apps/run/strict_json.h"
#include "apps/run/trainer.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "tests/apps/read_shard.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;
using Paths = std::vector<std::string>;

// A shard of random tokens from `first` to `first` + 9.
std::string write_random(const std::string& path, std::int32_t first, std::int64_t tokens) {
  Rng rng(static_cast<std::uint64_t>(first));
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < tokens; ++i) ids.push_back(first + static_cast<std::int32_t>(rng.below(10)));
  write_shard(path, ids, 131);
  return path;
}

TEST_CASE(
    "data: a glob that matches both kinds trains on training shards and validates on validation shards") {
  const TemporaryDirectory temporary;
  // Only the file's name decides its kind. The directory's name has no effect.
  std::filesystem::create_directory(temporary / "the_val");
  const std::string dir = temporary / "the_val";
  const std::string a = write_random(dir + "/my_train_0.bin", 0, 700),
                    b = write_random(dir + "/my_train_1.bin", 20, 400),
                    v = write_random(dir + "/my_val_0.bin", 40, 500),
                    w = write_random(dir + "/my_val_1.bin", 60, 300);
  Tokenizer(std::vector<std::string>(131, "x"), 130).write(dir + "/my_tokenizer.bin");
  const json steps = {{"steps", 3}, {"val_every", 1}, {"save_every", 3}};
  const auto train = [&](const std::string& name, json data) {
    data.merge_patch(steps);
    const TrainSettings settings = tiny_settings(data);
    CHECK(training_shards(settings) == Paths{a, b});
    CHECK(validation_shards(settings) == Paths{v, w});
    train_whole(temporary / name, settings);
  };
  train("both", {{"data", dir + "/my_*.bin"}});
  train("apart", {{"data", dir + "/my_train*.bin"}, {"val_data", dir + "/my_val*.bin"}});
  train("found", {{"data", dir + "/my_train*.bin"}});
  for (const char* name : {"both", "apart", "found"}) {
    const json state = read_json(temporary / (std::string(name) + "/checkpoints/step_00000003/state.json"));
    CHECK(state.at("data").at("tokens") == 700 + 400);
    CHECK((read_text(temporary / (std::string(name) + "/model.bin")) ==
           read_text(temporary / "apart/model.bin")));
    CHECK(timeless_metrics(temporary / name) == timeless_metrics(temporary / "apart"));
  }
}

TEST_CASE("data: shards of one kind are all for training, and without validation shards none are used") {
  const TemporaryDirectory temporary;
  const std::string v = write_random(temporary / "my_val_0.bin", 40, 500),
                    w = write_random(temporary / "my_val_1.bin", 60, 500);
  const TrainSettings all_val = tiny_settings({{"data", temporary / "my_*.bin"}});
  CHECK(training_shards(all_val) == Paths{v, w});
  CHECK(validation_shards(all_val).empty());
  const std::string t = write_random(temporary / "other_train.bin", 0, 500);
  const TrainSettings alone = tiny_settings({{"data", t}});
  CHECK(training_shards(alone) == Paths{t});
  CHECK(validation_shards(alone).empty());
  const TrainSettings same = tiny_settings({{"data", v}, {"val_data", v}});
  CHECK(training_shards(same) == Paths{v});
  CHECK(validation_shards(same) == Paths{v});
}

// Settings of a run on stories that is short enough for a test.
TrainSettings story_settings(const json& changes) {
  TrainFlags flags;
  flags.given = {{"model", {{"layers", 1}, {"heads", 2}, {"channels", 16}}},
                 {"batch_size", 3},
                 {"seq_len", 64},
                 {"steps", 2},
                 {"precision", "f32"},
                 {"val_every", 2},
                 {"val_batches", 7},
                 {"sample_every", 0},
                 {"save_every", 0}};
  flags.given.merge_patch(changes);
  return resolve(flags);
}

TEST_CASE("data: if the directory has no run, stories of another seed are replaced by this run's stories") {
  const TemporaryDirectory temporary;
  write_story_corpus(temporary / "run/data", 3000, 3000, 7);
  const TrainSettings settings = story_settings({{"seed", 8}});
  const TinyRun run(temporary / "run", settings);
  // The validation stories do not depend on the number of training stories, so a short corpus is enough.
  const StoryCorpus want = write_story_corpus(temporary / "want", 1, 100'000, 8);
  CHECK((read_text(temporary / "run/data/stories_val.bin") == read_text(want.val_path)));
  const Shard train(temporary / "run/data/stories_train.bin"), first(want.train_path);
  CHECK(train.size() >= 4'000'000);
  std::int64_t differing = 0;
  for (std::int64_t i = 0; i < first.size(); ++i) differing += train[i] != first[i];
  CHECK(differing == 0);
}

TEST_CASE("data: the stories of a run are written again only if a shard is missing") {
  const TemporaryDirectory temporary;
  const TrainSettings settings = story_settings({{"seed", 7}});
  const StoryCorpus corpus = write_story_corpus(temporary / "run/data", 3000, 3000, 7);
  const std::string train = read_text(corpus.train_path), val = read_text(corpus.val_path);
  {
    TinyRun first(temporary / "other", tiny_settings());  // writes a config.json to copy
    first.directory.write_config(settings);
    std::filesystem::copy(temporary / "other/config.json", temporary / "run/config.json");
  }
  { const TinyRun run(temporary / "run", settings); }
  CHECK((read_text(corpus.train_path) == train));
  CHECK((read_text(corpus.val_path) == val));
  std::filesystem::remove(corpus.val_path);
  { const TinyRun run(temporary / "run", settings); }
  CHECK(Shard(corpus.val_path).size() >= 100'000);
}

TEST_CASE(
    "data: a validation's minimum over rows is the mean of -log p over its targets, and over whole stories "
    "of all tokens") {
  const TemporaryDirectory temporary;
  const StoryCorpus corpus = write_story_corpus(temporary / "run/data", 3000, 5000, 7);
  const TrainSettings settings = story_settings({{"seed", 7}});
  RunDirectory(temporary / "run").write_config(settings);
  TinyRun run(temporary / "run", settings);
  run.start(settings).trainer.run(never);

  // A row begins at the last end-of-text token at or before its normal start, if there is one less than T
  // tokens back.
  const std::int32_t end_of_text = story_tokenizer().end_of_text();
  const std::int64_t T = 64, rows = 7 * 3;
  const std::vector<std::int32_t> tokens = read_shard(corpus.val_path);
  std::vector<float> nats(tokens.size());
  for (std::size_t begin = 0; begin < tokens.size();) {  // story by story
    std::size_t end = begin + 1;
    while (end < tokens.size() && tokens[end] != end_of_text) ++end;
    story_grammar().score(std::span(tokens).subspan(begin, end - begin),
                          std::span(nats).subspan(begin, end - begin));
    begin = end;
  }
  double minimum = 0;
  std::int64_t from_a_beginning = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t first = r * T;
    for (std::int64_t back = 0; back < T && r * T - back >= 0; ++back) {
      if (tokens[static_cast<std::size_t>(r * T - back)] != end_of_text) continue;
      first = r * T - back;
      ++from_a_beginning;
      break;
    }
    for (std::int64_t t = 1; t <= T; ++t) minimum += nats[static_cast<std::size_t>(first + t)];
  }
  CHECK(from_a_beginning > rows / 2);
  minimum /= static_cast<double>(rows * T);
  constexpr double kSummation = 1e-12;  // relative; both sums are in double
  REQUIRE(run.trainer.validations().size() == 2);
  for (const Validation& v : run.trainer.validations()) {
    REQUIRE((v.min_over_rows.has_value() && v.min_over_stories.has_value()));
    CHECK(*v.min_over_rows == approx(minimum).epsilon(kSummation));
    CHECK(*v.min_over_stories == approx(corpus.val_nats / static_cast<double>(corpus.val_tokens)));
    CHECK(v.percent_above_min_over_rows() == approx(100 * (v.loss - minimum) / minimum));
    CHECK(v.loss > minimum);
  }
  const std::vector<json> lines = run.directory.read_metrics();
  CHECK(lines.front().at("min_over_rows").get<double>() == *run.trainer.validations()[0].min_over_rows);
  CHECK(lines.front().at("min_over_stories").get<double>() == *run.trainer.validations()[0].min_over_stories);
}

TEST_CASE("data: a tokenizer whose vocabulary differs from the model's is refused before training") {
  const TemporaryDirectory temporary;
  Tokenizer(std::vector<std::string>(130, "x"), 0).write(temporary / "tokenizer.bin");
  const TrainSettings settings = tiny_settings({{"tokenizer", temporary / "tokenizer.bin"}});
  CHECK_THROWS_WITH(TinyRun(temporary / "run", settings),
                    contains("the tokenizer has 130 tokens, the model has 131"));
}

}  // namespace
}  // namespace inkling
