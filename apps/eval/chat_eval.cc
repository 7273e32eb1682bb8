#include "apps/eval/chat_eval.h"

#include "apps/run/format.h"
#include "apps/talk/history.h"
#include "core/error.h"
#include "nn/generate.h"

namespace inkling {

namespace {

// Returns whether the model writes exactly `answer` after the prompt.
bool writes(GPT2& model, const Tokenizer& tokenizer, std::span<const std::int32_t> prompt,
            const std::string& answer) {
  // An answer of n bytes has at most n tokens.
  GenerateSettings greedy{.max_tokens = std::ssize(answer) + 1, .stop_token = -1};
  greedy.sampler.temperature = 0.0f;
  std::string text;
  bool ended = false;
  Rng unused(0);
  generate(model, prompt, greedy, unused, [&](std::int32_t id) {
    ended = id == tokenizer.end_of_text();
    if (!ended) text += tokenizer.token(id);
    return !ended && answer.starts_with(text);
  });
  return ended && text == answer;
}

}  // namespace

ChatResult evaluate_chats(GPT2& model, const Tokenizer& tokenizer,
                          std::span<const Conversation> conversations, LongContext long_context,
                          const std::function<std::string(std::size_t)>& name_of,
                          const std::function<void(const ChatResult&)>& done) {
  const std::int64_t maxT = model.config().max_seq_len;
  ChatResult result;
  for (std::size_t index = 0; index < conversations.size(); ++index) {
    const Conversation& conversation = conversations[index];
    std::size_t last = conversation.turns.size() - 1;
    while (conversation.turns[last].role != Role::assistant) --last;
    const std::string& answer = conversation.turns[last].text;
    History history(tokenizer);
    std::int64_t room = maxT;
    try {
      for (std::size_t i = 0; i < last; ++i)
        history.add(conversation.turns[i].role, conversation.turns[i].text);
      room -= std::ssize(tokenizer.encode(answer));
    } catch (const Error& error) {
      fail(name_of(index), ": ", error.what());
    }
    const History::Prompt prompt = history.prompt(room);
    const bool fits = std::ssize(prompt.ids) <= room;
    if (long_context == LongContext::fail && (!fits || prompt.left_out > 0)) {
      fail(name_of(index), ": the conversation is longer than the model's context of ",
           format_number_of(maxT, "token"),
           fits ? "; --cut-context leaves out its oldest turns"
                : ", even without its oldest turns; --cut-context counts it as wrong");
    }
    ++result.conversations;
    result.too_long += !fits;
    result.cut_contexts += fits && prompt.left_out > 0;
    result.right += fits && writes(model, tokenizer, prompt.ids, answer);
    done(result);
  }
  return result;
}

}  // namespace inkling
