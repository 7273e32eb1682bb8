// Parses a command line as `inkling` does, or runs a subcommand inside the test's process.
#pragma once

#include <algorithm>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/train_flags.h"
#include "core/error.h"
#include "tests/apps/run/fixed_precision.h"
#include "tests/apps/text/words.h"
#include "tests/support.h"

namespace inkling::test {

// CLI11 expects the words in reverse order.
inline void parse(CLI::App& app, Words words) {
  std::reverse(words.begin(), words.end());
  app.parse(words);
}

inline TrainCommand parse_train(const Words& words) {
  CLI::App app;
  TrainCommand command;
  add_train_flags(app, command);
  parse(app, words);
  return command;
}

inline TrainSettings resolve_words(const Words& words) {
  return resolve(parse_train(words).flags, f32_is_faster);
}

// Captures the text that is written to a stream. The stream is restored at the end of the scope.
class Captured {
 public:
  explicit Captured(std::ostream& stream) : stream_(stream), before_(stream.rdbuf(text_.rdbuf())) {
    format_.copyfmt(stream);
  }
  ~Captured() {
    stream_.rdbuf(before_);
    stream_.copyfmt(format_);
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  std::string text() const { return text_.str(); }

 private:
  std::ostream& stream_;
  std::ostringstream text_;
  std::streambuf* before_;
  std::ios format_{nullptr};
};

inline void add_commands_but_train(CLI::App& app, Action& action) {
  add_generate(app, action);
  add_chat(app, action);
  add_tokenize(app, action);
  add_eval(app, action);
  add_explain(app, action);
  add_lesson(app, action);
  add_report(app, action);
  add_info(app, action);
  add_inspect(app, action);
  add_convert(app, action);
  add_story_chats(app, action);
  add_verify(app, action);
}

struct Answer {
  int threads;  // the number of threads that the subcommand used
  std::string out, err;
};

// Runs any subcommand except train. The signal handlers of train would stay in the test's process.
inline Answer run_here(const Words& words) {
  const RestoreThreads restore;
  CLI::App app;
  Action action;
  add_commands_but_train(app, action);
  parse(app, words);
  const Captured out(std::cout), err(std::cerr);
  const int status = action();
  if (status != 0) throw Error(str("exit status ", status));
  return {threads(), out.text(), err.text()};
}

}  // namespace inkling::test
