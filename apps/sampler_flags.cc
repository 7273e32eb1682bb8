#include "apps/sampler_flags.h"

#include "apps/number_flag.h"

namespace inkling {

void add_sampler_flags(CLI::App& command, SamplerSettings& settings) {
  const auto number = [&]<class T>(const char* name, T& value, T least, T most, const char* help) {
    return number_flag(command.add_option(name, value, help), least, most)->capture_default_str();
  };
  CLI::Option* temperature =
      number("--temperature", settings.temperature, 0.0f, 1000.0f,
             "below 1, likely tokens become more likely; above 1, less likely; 0: the same as --greedy");
  CLI::Option* top_k = number("--top-k", settings.top_k, std::int64_t{0}, kMostTopK,
                              "draw only from the k likeliest tokens; 0: from all");
  CLI::Option* top_p =
      number("--top-p", settings.top_p, 1e-6f, 1.0f,
             "draw only from the likeliest tokens whose probabilities sum to at least this number");
  CLI::Option* min_p =
      number("--min-p", settings.min_p, 0.0f, 1.0f,
             "draw only from tokens whose probability is at least this number times the highest probability");
  number("--repetition-penalty", settings.repetition_penalty, 0.01f, 1000.0f,
         "above 1, tokens that are already in the text become less likely");
  CLI::Option* greedy = command.add_flag_callback(
      "--greedy", [&settings] { settings.temperature = 0.0f; }, "always take the likeliest token");
  // --greedy draws no random numbers, so these flags would have no effect.
  for (CLI::Option* flag : {temperature, top_k, top_p, min_p}) greedy->excludes(flag);
}

}  // namespace inkling
