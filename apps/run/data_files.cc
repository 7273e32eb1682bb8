#include "apps/run/data_files.h"

#include <algorithm>
#include <filesystem>
#include <functional>

#include "apps/run/train_settings.h"
#include "apps/text/shard.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"

namespace inkling {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

bool is_validation(const std::string& path) {
  return fs::path(path).filename().string().find("_val") != std::string::npos;
}

// Returns whether `shards` contains both training and validation shards.
bool mixed(const std::vector<std::string>& shards) {
  const auto validation = std::count_if(shards.begin(), shards.end(), is_validation);
  return validation > 0 && validation < std::ssize(shards);
}

// Returns the pattern of the validation shards: for the training data "dir/my_train*.bin" it is
// "dir/my_val*.bin". If `data` matches both kinds of shards, returns `data`. Returns "" if there are no
// validation shards.
std::string validation_beside(const std::string& data, const std::vector<std::string>& shards) {
  if (mixed(shards)) return data;
  const std::size_t cut = data.rfind("train");
  if (cut == std::string::npos) return "";
  const std::string pattern = data.substr(0, cut) + "val" + data.substr(cut + 5);
  try {
    return find_shards(pattern).empty() ? "" : pattern;
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

std::string flag_of(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

json with_absolute_paths(json given) {
  for (const char* key : {"data", "val_data", "tokenizer", "init"}) {
    if (const std::string path = given.value(key, ""); !path.empty())
      given[key] = fs::absolute(path).string();
  }
  return given;
}

void choose_data(TrainSettings& s, const json& given) {
  s.data = given.value("data", "");
  if (s.stories()) {
    for (const char* other : {"val_data", "tokenizer"}) {
      if (given.contains(other))
        throw UsageError(
            str(flag_of(other), " needs --data: the stories have their own shards and tokenizer"));
    }
    return;
  }
  const std::vector<std::string> shards = find_shards(s.data);
  s.val_data = given.value("val_data", validation_beside(s.data, shards));
  s.tokenizer = given.value("tokenizer", tokenizer_path_beside(shards.front()));
}

json with_files_beside(json given, const json& saved) {
  if (!given.contains("data")) return given;
  const std::string data = given["data"];
  const std::vector<std::string> shards = find_shards(data);
  const auto follow = [&](const char* key, const std::string& beside) {
    if (!given.contains(key) && saved.value(key, "") != "" && !beside.empty()) given[key] = beside;
  };
  follow("val_data", validation_beside(data, shards));
  follow("tokenizer", tokenizer_path_beside(shards.front()));
  return given;
}

std::vector<std::string> training_shards(const TrainSettings& settings) {
  std::vector<std::string> shards = find_shards(settings.data);
  if (settings.data == settings.val_data && mixed(shards)) std::erase_if(shards, is_validation);
  return shards;
}

std::vector<std::string> validation_shards(const TrainSettings& settings) {
  if (settings.val_data.empty()) return {};
  std::vector<std::string> shards = find_shards(settings.val_data);
  if (settings.data == settings.val_data && mixed(shards)) std::erase_if(shards, std::not_fn(is_validation));
  return shards;
}

void expect_data(const TrainSettings& settings) {
  if (settings.stories()) return;
  try {
    find_shards(settings.data);
  } catch (const Error& error) {
    fail(error.what(), "; if the data has moved, give its new place with --data");
  }
}

}  // namespace inkling
