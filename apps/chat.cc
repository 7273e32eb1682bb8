// inkling chat: talk with a model, in a terminal or in a pipe.
//
// Answers go to stdout; the prompt "> ", notes and errors go to stderr. In a terminal, Ctrl-C stops an answer
// and Ctrl-D leaves. In a pipe, each line is a message, and the exit status is 1 if a line caused an error.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "apps/chat/chat_template.h"
#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/open_model.h"
#include "apps/run/flags.h"
#include "apps/run/terminal_text.h"
#include "apps/sampler_flags.h"
#include "apps/talk/chat.h"
#include "apps/talk/line_reader.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

constexpr std::size_t kLongestLine = std::size_t{1} << 20;

struct ChatCommand {
  std::string model, tokenizer, system, precision = "f32";
  ChatSettings chat;
  int threads = hardware_threads();
};

volatile std::sig_atomic_t interrupted = 0;
int wake_pipe[2] = {-1, -1};

// After SIGINT, `interrupted` is 1, and wake_pipe[0] has a byte to read.
void notice_interrupts() {
  if (pipe2(wake_pipe, O_NONBLOCK | O_CLOEXEC) != 0) fail("cannot create a pipe: ", std::strerror(errno));
  struct sigaction handler = {};
  handler.sa_handler = [](int) {
    const int before = errno;
    // If the pipe is full, it has a byte to read already. The handler may run on another thread. So it writes
    // to the pipe before it sets `interrupted`: a thread that sees `interrupted` also finds the byte.
    if (write(wake_pipe[1], "", 1) < 0) errno = before;
    interrupted = 1;
  };
  handler.sa_flags = SA_RESTART;
  sigaction(SIGINT, &handler, nullptr);
}

// Obeys all lines of stdin. Returns the exit status.
int talk(Chat& chat) {
  const bool typed = isatty(STDIN_FILENO) != 0;
  LineReader lines(STDIN_FILENO, wake_pipe[0], kLongestLine);
  int status = 0;
  for (std::string line;;) {
    if (typed) std::cerr << "> " << std::flush;
    try {
      const LineReader::Result result = lines.next(line);
      if (result == LineReader::Result::end) break;
      if (result == LineReader::Result::interrupted) {
        if (!typed) return 128 + SIGINT;
        std::cerr << "\n(Ctrl-D leaves)" << std::endl;
        continue;
      }
      interrupted = 0;
      chat.handle(line, [] { return interrupted != 0; });
      lines.forget_signals();  // they arrived while the answer was written
      if (!std::cout) break;   // the program that read stdout has ended
    } catch (const Error& error) {
      std::cerr << "inkling: " << terminal_text(terminal(STDERR_FILENO), error.what()) << std::endl;
      if (!typed) status = 1;
    }
  }
  if (typed) std::cerr << std::endl;
  return status;
}

// Error if the tokenizer does not have the characters of the words between the turns of a conversation.
void check_can_chat(const Tokenizer& tokenizer, const std::string& model) {
  try {
    ChatTemplate(tokenizer).prompt({{Turn{Role::user, "?"}}});
  } catch (const Error&) {
    fail(model,
         ": its tokenizer cannot write a conversation, so the model was not trained on conversations; make "
         "chat "
         "trains a model that was");
  }
}

int run(const ChatCommand& command) {
  set_threads(command.threads);
  OpenModel opened = open_model(command.model, command.tokenizer, command.precision);
  check_can_chat(opened.tokenizer_for("chat"), command.model);
  Chat chat(opened.model, opened.tokenizer_for("chat"), command.chat, terminal(STDOUT_FILENO), std::cout,
            std::cerr);
  from_flags([&] { chat.history().set_system(command.system); }, "--system: ");
  notice_interrupts();
  return talk(chat);
}

}  // namespace

void add_chat(CLI::App& app, Action& action) {
  CLI::App* chat = app.add_subcommand("chat", "Talk with a model; /help lists the commands");
  auto command = std::make_shared<ChatCommand>();
  const auto number = [&]<class T>(const char* name, T& value, T least, T most, const char* help) {
    return number_flag(chat->add_option(name, value, help), least, most)->capture_default_str();
  };
  chat->add_option("--model", command->model, "model checkpoint (.bin)")->required();
  chat->add_option("--tokenizer", command->tokenizer, str("tokenizer file or directory; ", kTokenizerRule));
  chat->add_option("--system", command->system, "tells the model how to behave; default: nothing");
  number("--max-tokens", command->chat.max_tokens, std::int64_t{1}, std::int64_t{1} << 40,
         "maximum number of tokens of an answer");
  add_sampler_flags(*chat, command->chat.sampler);
  number("--seed", command->chat.seed, std::uint64_t{0}, UINT64_MAX, "seed of the random numbers");
  chat->add_option("--precision", command->precision, "f32, bf16 or int8; bf16 and int8 are faster")
      ->capture_default_str();
  number("--threads", command->threads, 1, kMostThreads,
         "number of threads; the answers do not depend on it");
  chat->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
