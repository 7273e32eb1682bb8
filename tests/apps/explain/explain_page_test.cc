// The page of inkling explain: its numbers, hostile texts, texts that are too long, and how it works in a
// browser.
#include "apps/explain/explain_page.h"

#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/page/page_html.h"
#include "apps/page/page_json.h"
#include "apps/tokenizer/tokenizer.h"
#include "nn/checkpoint.h"
#include "tests/apps/page/source_lines.h"
#include "tests/apps/process.h"
#include "tests/pages/browser.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr const char* kHostile = "</script><img src=x onerror=1>";

// A model with random weights and its tokenizer: a token for each ASCII character, one hostile token, and
// others.
std::string write_model(const TemporaryDirectory& t, const GPT2Config& config,
                        const std::string& hostile = kHostile) {
  GPT2 model(config);
  model.initialise(7);
  save_model(t / "model.bin", config, model.parameters().values());
  std::vector<std::string> tokens;
  for (std::int64_t id = 0; id < config.vocab_size; ++id) {
    tokens.push_back(id < 128    ? std::string(1, static_cast<char>(id))
                     : id == 128 ? hostile
                                 : "\xc3\xa9" + std::to_string(id));
  }
  Tokenizer(tokens, static_cast<std::int32_t>(config.vocab_size - 1)).write(t / "tokenizer.bin");
  return t / "model.bin";
}

const GPT2Config kConfig{.max_seq_len = 100, .vocab_size = 140, .layers = 2, .heads = 3, .channels = 24};

nlohmann::ordered_json json_of(const std::string& path) {
  return page::read_page_json(path, read_text(path));
}

TEST_CASE("explain page: its numbers are those of explain --json, and of the model without a head") {
  const TemporaryDirectory t;
  const std::string model = write_model(t, kConfig), text = "a small text\n";
  const Outcome outcome = run({"explain", "--model", model, "--text", text, "--html", t / "page.html"});
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK_THAT(outcome.out, contains("13 positions\n" + (t / "page.html") + "\n"));
  const auto page = json_of(t / "page.html"), numbers = page.at("numbers");
  check_source_lines(page.at("details"));
  for (const auto& [name, detail] : page.at("details").items()) {
    INFO(name);
    CHECK(detail.at("formula") != "");
  }
  const auto plain = nlohmann::json::parse(run({"explain", "--model", model, "--text", text, "--json"}).out);
  CHECK(numbers.at("loss.mean").get<double>() == approx(plain.at("loss").get<double>()));
  CHECK(numbers.at("loss.perplexity").get<double>() == approx(plain.at("perplexity").get<double>()));
  double largest = 0;
  for (std::size_t i = 0; i < 13; ++i) {
    const auto& position = plain.at("positions").at(i);
    const double loss = position.at("loss");
    CHECK(numbers.at(str("loss.", i)).get<double>() == loss);
    CHECK(numbers.at(str("p.", i)).get<double>() == position.at("target").at("probability").get<double>());
    largest = std::max(largest, loss);
  }
  CHECK(numbers.at("now.loss").get<double>() == largest);
  GPT2 loaded = load_model(model);
  std::vector<std::int32_t> ids = {139};
  for (const char c : text) ids.push_back(c);
  const Inside in = look_inside(loaded, ids);
  const auto without = in.losses_without(0, 0);
  const double mean = std::accumulate(without.begin(), without.end(), 0.0) / 13;
  CHECK(numbers.at("without.loss").get<double>() == approx(mean));
  CHECK(numbers.at("without.change").get<double>() ==
        approx(mean - plain.at("loss").get<double>()).margin(1e-6));
  CHECK(numbers.at("gradient.4").get<double>() == in.gradient_norms[4]);
  CHECK(numbers.at("head.previous").get<double>() == habits(in.attention_of(0, 0), 13).previous);
}

TEST_CASE("explain page: the sliders' data have each head's attention in thousandths") {
  const TemporaryDirectory t;
  const std::string model = write_model(t, kConfig);
  REQUIRE(run({"explain", "--model", model, "--text", "abcdef", "--html", t / "page.html"}).status == 0);
  const auto live = json_of(t / "page.html").at("live").at("attention.live").at("data");
  GPT2 loaded = load_model(model);
  const Inside in = look_inside(loaded, std::vector<std::int32_t>{139, 'a', 'b', 'c', 'd', 'e', 'f'});
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  REQUIRE(live.at("shares").size() == 6);
  for (std::size_t head = 0; head < 6; ++head) {
    const std::string shares = live.at("shares").at(head);
    REQUIRE(shares.size() == 2 * 21);
    const auto p = in.attention_of(static_cast<std::int64_t>(head / 3), static_cast<std::int64_t>(head % 3));
    std::size_t i = 0;
    for (std::size_t row = 0; row < 6; ++row) {
      for (std::size_t k = 0; k <= row; ++k, i += 2) {
        const std::size_t thousandths = 64 * digits.find(shares[i]) + digits.find(shares[i + 1]);
        CHECK(static_cast<double>(thousandths) == approx(1000 * p[row * 6 + k]).margin(0.5001));
      }
    }
  }
}

TEST_CASE("explain page: a hostile text is shown as text and never becomes HTML") {
  const TemporaryDirectory t;
  const std::string model = write_model(t, kConfig);
  const std::string text = std::string("He said ") + kHostile + "\x1b[2J \n\t\"'&`$*{";
  REQUIRE(run({"explain", "--model", model, "--text", text, "--html", t / "page.html"}).status == 0);
  const std::string html = read_text(t / "page.html");
  CHECK(html.find("<img") == std::string::npos);
  CHECK(html.find('\x1b') == std::string::npos);
  CHECK_THAT(html, contains("&lt;/script&gt;&lt;img src=x onerror=1&gt;"));
  std::size_t scripts = 0;
  for (std::size_t at = html.find("</script>"); at != html.npos; at = html.find("</script>", at + 1))
    ++scripts;
  CHECK(scripts == 4);  // the numbers, the page's script, explain.js and the start
}

TEST_CASE("explain page: it stays below 2 MB for the longest text, and a longer one is refused") {
  const TemporaryDirectory t;
  const GPT2Config config{.max_seq_len = 400, .vocab_size = 140, .layers = 4, .heads = 4, .channels = 16};
  const std::string model = write_model(t, config);
  const std::int64_t most = most_explained_tokens(config, 5);
  REQUIRE(most < 400);
  std::string text;
  for (std::int64_t i = 0; i < most; ++i) text += static_cast<char>('a' + i % 26);
  REQUIRE(run({"explain", "--model", model, "--text", text, "--html", t / "page.html"}).status == 0);
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(t / "page.html"));
  CHECK(bytes <= kMostPageBytes);
  CHECK(bytes > kMostPageBytes * 7 / 10);  // the estimate does not refuse texts without need
  expect({"explain", "--model", model, "--text", text + "x", "--html", t / "page.html"}, 2,
         {str("the text has ", most + 1, " tokens, expected at most ", most,
              " for a page of at most 2 MB with the 16 heads of this model")});
  // Long tokens: the page is measured, too.
  const std::string long_token(200, '<'), other = write_model(t, config, long_token);
  std::string long_text;
  for (std::int64_t i = 0; i < most; ++i) long_text += long_token;
  expect({"explain", "--model", other, "--text", long_text, "--html", t / "long.html"}, 2,
         {"bytes, expected at most 2097152: give a shorter text"});
  CHECK(!std::filesystem::exists(t / "long.html"));
  // More heads leave room for fewer tokens.
  GPT2Config many = config;
  many.heads = 16;
  CHECK(most_explained_tokens(many, 5) < most);
}

TEST_CASE("explain page: wrong flags are one clear line") {
  const TemporaryDirectory t;
  const std::string model = write_model(t, kConfig);
  expect({"explain", "--model", model, "--text", "a", "--html", t / "p.html", "--precision", "bf16"}, 2,
         {"--html computes in f32"});
  CHECK(run({"explain", "--model", model, "--text", "a", "--html", t / "p.html", "--json"}).status == 2);
  expect({"explain", "--model", model, "--text", "a", "--html", t / "none/p.html"}, 1, {"none"});
}

TEST_CASE("explain page: it is valid HTML and works in a browser, for one head and for many", "[.][pages]") {
  const TemporaryDirectory t;
  const std::string model = write_model(t, kConfig);
  const std::string text =
      std::string("He said ") + kHostile +
      " \n and `$x` went on; then the rest of a text that is long enough for cells of 3 px.";
  REQUIRE(run({"explain", "--model", model, "--text", text, "--html", t / "page.html"}).status == 0);
  check_html(t / "page.html");
  const nlohmann::json found = check_in_browser(t / "page.html");
  CHECK(found.at("numbers") > 100);
  CHECK(found.at("sliders") == 6);
  const TemporaryDirectory tiny;
  const std::string one =
      write_model(tiny, {.max_seq_len = 8, .vocab_size = 140, .layers = 1, .heads = 1, .channels = 8});
  for (const char* word : {"a", "ab"}) {
    REQUIRE(run({"explain", "--model", one, "--text", word, "--html", t / "one.html", "--top", "0"}).status ==
            0);
    check_html(t / "one.html");
    check_in_browser(t / "one.html");
  }
}

}  // namespace
}  // namespace inkling
