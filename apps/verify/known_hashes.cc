#include "apps/verify/known_hashes.h"

#include <nlohmann/json.hpp>

namespace inkling {

const char* known_hashes() {
  return R"json(
{
  "stories": {
    "unfused": "a699add851db6238",
    "fused": "3beb446ed5357202"
  },
  "tails": {
    "unfused": "5c6302550972ced5",
    "fused": "72836541d0552f52"
  },
  "narrow": {
    "unfused": "891fabe33a67d0ad",
    "fused": "b33c4be1f6d26930"
  },
  "long": {
    "unfused": "4a4916a2f2c345b3",
    "fused": "570cfe5ff34cb446"
  },
  "wide": {
    "unfused": "8d20e810972ad62f",
    "fused": "019a6b06e15c9242"
  },
  "vocabulary": {
    "unfused": "5a8176ec7ee9cc4f",
    "fused": "1afbedc72250eb65"
  },
  "few_rows": {
    "unfused": "0b7b971bd2d16b21",
    "fused": "b1d1866235db3496"
  },
  "linear": {
    "unfused": "b5b460afb25b5299",
    "fused": "480705e0d7f39e69"
  },
  "wsd": {
    "unfused": "c27a6f10a6e80368",
    "fused": "b118dc9b1a2358dc"
  },
  "sgd": {
    "unfused": "51416e915ee4ac8a",
    "fused": "763003b503cd2595"
  },
  "loss_mask": {
    "unfused": "883dc4747f38ee99",
    "fused": "3571cb828a820948"
  },
  "documents": {
    "unfused": "92a26008044b0693",
    "fused": "12ad24f651f0dbb6"
  },
  "accumulation": {
    "unfused": "c22115b3f84bd17b",
    "fused": "81015eb381df4555"
  },
  "sampler": {
    "unfused": "e3958cff92d7e719",
    "fused": "3f36776592d21425"
  },
  "greedy": {
    "unfused": "acc89bfdb9689ece",
    "fused": "a11f3b5cfb16dd7d"
  },
  "bf16": {
    "unfused": "67ac291b7b69dee4",
    "fused": "8be28b460f654fd9",
    "amx": "d18d6a04240450ef"
  },
  "bf16_accumulation": {
    "unfused": "01cec4d65e4d927a",
    "fused": "6936abdd4ec83f1f",
    "amx": "5f93b59c5270a205"
  }
}
)json";
}

std::string known_hash(const Recipe& recipe, const std::string& arithmetic) {
  static const auto all = nlohmann::json::parse(known_hashes());
  return all.value(recipe.name, nlohmann::json::object()).value(arithmetic, "none");
}

}  // namespace inkling
