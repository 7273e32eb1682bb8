#include "apps/interop/safetensors.h"

#include <algorithm>

#include "apps/interop/gpt2_safetensors.h"
#include "apps/interop/llmc.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

namespace {

// All sizes in a header must match the data, so a model from a short input is small.
void convert(const StoredModel& model) {
  const std::string llmc = scratch("model.bin"), safetensors = scratch("model.safetensors");
  {
    AtomicFile file(llmc);
    write_llmc_model(file, llmc, model);
    file.commit(FolderSync::by_caller);
  }
  {
    AtomicFile file(safetensors);
    write_safetensors_model(file, model);
    file.commit(FolderSync::by_caller);
  }
  const StoredModel a = read_llmc_model(llmc), b = read_safetensors_model(safetensors);
  require(a.config == model.config && b.config == model.config, "safetensors: a written model is read back");
  for (const LayerTensor& tensor : layer_tensors(model.config)) {
    const auto want = model.at(tensor), got = b.at(tensor);
    require(model.type() != want.type || std::ranges::equal(want.bytes, got.bytes),
            "safetensors: a written tensor has the same bytes");
  }
}

}  // namespace

void safetensors(Bytes bytes) {
  accepted([&] {
    const Safetensors file = parse_safetensors(ByteReader(bytes, "model.safetensors"));
    for (const SafetensorsTensor& tensor : file.tensors)
      require(
          tensor.bytes.empty() || (tensor.bytes.data() >= bytes.data() &&
                                   tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size()),
          "safetensors: a tensor is inside the file");
    convert(parse_safetensors_model(ByteReader(bytes, "model.safetensors")));
  });
}

}  // namespace inkling::fuzz
