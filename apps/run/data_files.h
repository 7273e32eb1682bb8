// Which files a run reads: token shards for training and for validation, and a tokenizer. They are found
// beside each other, by their names. A run saves absolute paths, so that it can be resumed in any working
// directory.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace inkling {

struct TrainSettings;

// The flag of a key in config.json: --val-data for "val_data".
std::string flag_of(std::string key);

// The given flags, with absolute paths in "data", "val_data", "tokenizer" and "init".
nlohmann::json with_absolute_paths(nlohmann::json given);

// Sets data, val_data and tokenizer from the flags and from the files that exist.
void choose_data(TrainSettings& settings, const nlohmann::json& given);

// The flags of a resumed run whose data has moved: val_data and tokenizer are looked for beside the new data,
// if the run had them and the flags do not name them.
nlohmann::json with_files_beside(nlohmann::json given, const nlohmann::json& saved);

// Return the training and the validation shards of a run. If one pattern matches both kinds of shards
// (*.bin), the file names decide: shards with "_val" in the name are for validation, the others are for
// training.
std::vector<std::string> training_shards(const TrainSettings& settings);
std::vector<std::string> validation_shards(const TrainSettings& settings);  // the result may be empty

// Error, which mentions --data, if a resumed run's training data is not where it was.
void expect_data(const TrainSettings& settings);

}  // namespace inkling
