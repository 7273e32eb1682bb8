#include "apps/text/choices.h"

#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

void choices(Bytes bytes) {
  accepted([&] {
    const std::vector<Question> questions = parse_choices(ByteReader(bytes, "choices.bin"));
    for (const Question& question : questions)
      require(question.label < question.endings.size(), "choices: the label is an ending");
    check_tokens(questions, 65536, "choices.bin");
    write_choices(scratch("choices.bin"), questions);
    const std::vector<Question> again = read_choices(scratch("choices.bin"));
    require(again.size() == questions.size() && again.back().endings == questions.back().endings &&
                again.back().context == questions.back().context &&
                again.back().label == questions.back().label,
            "choices: read(write(x)) is x");
  });
}

}  // namespace inkling::fuzz
