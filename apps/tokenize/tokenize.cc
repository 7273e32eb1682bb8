#include "apps/tokenize/tokenize.h"

#include "apps/tokenize/inputs.h"
#include "apps/tokenize/tokenize_conversations.h"
#include "apps/tokenize/tokenize_documents.h"
#include "core/error.h"

namespace inkling {

TokenizeResult tokenize_files(const TokenizeSettings& settings) {
  if (!(settings.val_fraction >= 0 && settings.val_fraction < 1)) {
    fail("tokenize: the validation fraction is ", settings.val_fraction,
         ", expected at least 0 and less than 1");
  }
  Inputs inputs({.paths = settings.inputs,
                 .jsonl = settings.jsonl,
                 .spool_prefix = settings.out,
                 .bad_lines = settings.strict ? JsonlReader::BadLines::fail : JsonlReader::BadLines::skip,
                 .report = settings.report_bad_line});
  const Survey found = survey(settings, inputs);
  TokenizeResult result = found.conversations > 0 ? tokenize_conversations(settings, inputs, found)
                                                  : tokenize_documents(settings, inputs, found);
  result.bad_lines = inputs.bad_lines();
  return result;
}

}  // namespace inkling
