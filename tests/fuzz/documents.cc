#include "apps/tokenize/documents.h"

#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

namespace {

std::vector<std::string> documents_of(const std::string& path, std::size_t part_bytes) {
  std::vector<std::string> documents;
  DocumentPart part;
  for (DocumentReader reader(path, part_bytes, part_bytes + 256); reader.next(part);) {
    require(!part.text.empty(), "documents: a part has text");
    if (part.begins) documents.emplace_back();
    require(!documents.empty(), "documents: the first part begins a document");
    documents.back() += part.text;
  }
  return documents;
}

}  // namespace

void documents(Bytes bytes) {
  const std::string path = put("documents.txt", bytes);
  accepted([&] {
    require(documents_of(path, 64) == documents_of(path, std::size_t{1} << 20),
            "documents: they do not depend on the size of the parts");
  });
}

}  // namespace inkling::fuzz
