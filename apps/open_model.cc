#include "apps/open_model.h"

#include "apps/commands.h"
#include "apps/run/flags.h"
#include "core/error.h"
#include "nn/checkpoint.h"

namespace inkling {

const Tokenizer& OpenModel::tokenizer_for(const std::string& user) const {
  if (!tokenizer) {
    throw UsageError(
        str(user, " needs a tokenizer, but there is none beside ", path, "; ", kTokenizerRule));
  }
  return *tokenizer;
}

OpenModel open_model(const std::string& model, const std::string& tokenizer, const std::string& precision) {
  const Precision parsed = precision_flag(precision, Recording::off);
  OpenModel opened{model, load_model(model), find_tokenizer(tokenizer, model)};
  expect_finite(opened.model, model);
  if (opened.tokenizer) opened.tokenizer->check_vocabulary(model, opened.model.config().vocab_size);
  opened.model.set_precision(parsed, Recording::off);
  return opened;
}

}  // namespace inkling
