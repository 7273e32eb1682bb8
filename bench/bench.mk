# The benchmarks: a part of the Makefile.

# make bench: which rows, where to write JSON, an interpreter that may have PyTorch
FILTER  ?=
JSON    ?=
PYTHON  ?= python3

BENCH   := $(call objects,bench/*.cc)
LADDER  := $(call objects,bench/ladder/*.cc) $(BUILD)/bench/harness.o
BENCH_OBJECTS := $(BENCH) $(LADDER)
# What calls oneDNN is a shared library, built if oneDNN is installed or is about to be (deps-bench).
PEERS   := $(if $(wildcard /usr/include/dnnl.hpp)$(filter deps-bench,$(MAKECMDGOALS)),$(BUILD)/bench/peers/onednn.so)
all: $(PEERS)

.PHONY: bench bench-ladder
bench: $(BUILD)/inkling_bench $(PEERS)  ## measure against the machine's peak and other libraries (FILTER=regex, JSON=file, PYTHON=, TEXT=file)
	$(BUILD)/inkling_bench --filter='$(FILTER)' --json='$(JSON)' --python='$(PYTHON)' --text='$(TEXT)'

bench-ladder: $(BUILD)/inkling_ladder  ## from three loops to the engine's matrix product, rung by rung (bench/ladder/)
	$(BUILD)/inkling_ladder

# The rungs are for this machine. The first three show what loops alone can do, without the compiler's own SIMD.
$(BUILD)/bench/ladder/rung%.o: CXXFLAGS += -O3 $(if $(filter x86_64,$(MACHINE)),-march=native)
$(patsubst %,$(BUILD)/bench/ladder/rung%.o,1_naive 2_blocked 3_packed): CXXFLAGS += -fno-tree-vectorize

$(BUILD)/inkling_bench: private LDLIBS += -ldl
$(BUILD)/inkling_bench: $(BENCH) $(BUILD)/libinkling.a
	$(LINK)

$(BUILD)/inkling_ladder: $(LADDER) $(BUILD)/libinkling.a
	$(LINK)

$(BUILD)/bench/peers/onednn.so: bench/peers/onednn.cc bench/peers/onednn.h
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -fPIC -shared $< -ldnnl -o $@
