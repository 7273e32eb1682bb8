# inkling: `make help` lists what there is. Non-recursive; every .cc in a folder belongs to it; -MMD -MP tracks headers.

BUILD   ?= build
CXX     ?= g++
OPT     ?= -O2
JOBS    ?= $(shell nproc)
# of make train: a text (none: stories), the directory of the run (none: runs/NAME OF THE TEXT), flags of inkling train
DATA    ?=
OUT     ?=
FLAGS   ?=
# of make bench: which rows, where to write JSON, an interpreter that may have PyTorch
FILTER  ?=
JSON    ?=
PYTHON  ?= python3
# of make test: which tests, a name or a [tag]
TEST    ?=
# of make fuzz: seconds for each target, and which targets (none: all)
FUZZ_SECONDS ?= 10
FUZZ    ?=
# of tests/: the folders whose tests are built
TESTED  ?= *
# of make test-arm64: the cross compiler
ARM64   ?= aarch64-linux-gnu-g++
# the emulator for programs that this CPU cannot run (test-arm64)
EMULATOR ?=

# Debian's packages: what inkling is built from, what its own checks run, and what `make bench` compares it with.
PACKAGES       := g++ libxsimd-dev libtbb-dev libcli11-dev nlohmann-json3-dev libxxhash-dev catch2
CHECK_PACKAGES := clang clang-tidy clang-format libclang-rt-dev llvm
PAGES_PACKAGES := tidy chromium
BENCH_PACKAGES := libdnnl-dev libopenblas-dev
MPI_PACKAGES   := libopenmpi-dev openmpi-bin
ARM64_PACKAGES  = g++-aarch64-linux-gnu qemu-user libtbb-dev:arm64 libxxhash-dev:arm64 $(if $(CATCH),catch2:arm64)

# The -Wconversion family keeps sizes 64-bit. No warning is tolerated (CI sets CI=true; WERROR=1 does the same).
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(if $(WERROR)$(CI),-Werror)
# -ffp-contract=off: only an explicit fma() fuses, so every compiler computes the same. Never -ffast-math.
CXXFLAGS += -std=c++20 $(OPT) -g1 -ffp-contract=off $(WARNINGS) $(SANITIZE) -MMD -MP
CPPFLAGS += -I.
LDLIBS   += -ltbb -lxxhash -lpthread
# Catch2 is one header up to version 2, a library from 3 on.
CATCH     = $(shell test -e /usr/include/catch2/catch_all.hpp && echo -lCatch2)

EMULATED_AMX := $(BUILD)/tests/amx_emulation.o $(BUILD)/tests/emulated_amx_kernels.o

# Only the isa files get -m flags; the best table is chosen at start, so one binary runs on any x86-64. On arm64 they need none.
MACHINE := $(or $(firstword $(subst -, ,$(shell $(CXX) -dumpmachine 2>/dev/null))),$(shell uname -m))
ifeq ($(MACHINE),x86_64)
$(BUILD)/ops/isa/isa_avx2.o:   CXXFLAGS += -mavx2 -mfma
AVX512 := -mavx2 -mfma -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512
$(BUILD)/ops/isa/isa_avx512.o:      CXXFLAGS += $(AVX512)
$(BUILD)/ops/isa/isa_avx512_bf16.o: CXXFLAGS += $(AVX512) -mavx512bf16 -mavx512vnni
$(BUILD)/ops/isa/isa_amx.o:         CXXFLAGS += $(AVX512) -mavx512bf16 -mavx512vnni -mamx-tile -mamx-bf16
# The tests have a table of these kernels on emulated tiles, and compare the emulation with the instructions.
$(EMULATED_AMX):                CXXFLAGS += $(AVX512) -mavx512bf16 -mavx512vnni
# Other flags than those of the precompiled header, which clang refuses.
$(BUILD)/tests/ops/amx_test.o: PRECOMPILED_FLAGS =
$(BUILD)/tests/ops/amx_test.o:  CXXFLAGS += -mamx-tile -mamx-bf16
endif
$(BUILD)/core/parallel.o: CXXFLAGS += $(if $(findstring thread,$(SANITIZE)),-fno-sanitize=thread -DINKLING_TSAN)
# Kernels are optimised in every build, so that the sanitizers' run stays short. ASan would mark the start and the end of the life of every
# operand of an inlined intrinsic: compiling isa_avx512.cc would take minutes. Without these marks it takes 20 s.
$(BUILD)/ops/isa/isa_%.o $(EMULATED_AMX): CXXFLAGS += -O3 $(if $(SANITIZE),-fno-sanitize-address-use-after-scope)

# The headers that every test includes are parsed once: half of the time of compiling a small test. The tests' own speed does not matter: -O1.
# Under sanitizers the optimiser takes most of the time of compiling apps: -O0.
PRECOMPILED := $(BUILD)/tests/precompiled.h
PRECOMPILED_FLAGS = -include $(PRECOMPILED)
$(BUILD)/tests/%_test.o: private CXXFLAGS += -O1 $(PRECOMPILED_FLAGS)
$(BUILD)/apps/%.o: private CXXFLAGS += $(if $(SANITIZE),-O0)

objects  = $(patsubst %.cc,$(BUILD)/%.o,$(wildcard $(1)))
LIBRARY := $(call objects,core/*.cc core/*/*.cc ops/*.cc ops/*/*.cc nn/*.cc optim/*.cc apps/*/*.cc apps/*/*/*.cc)
APP     := $(call objects,apps/*.cc)
COMMANDS := $(filter-out $(BUILD)/apps/main.o,$(APP))
FUZZER  := $(filter-out %_test.o,$(call objects,tests/fuzz/*.cc))
# The tests of the AMX instructions need an x86-64 compiler.
TESTS   := $(filter-out $(BUILD)/tests/fuzz/libfuzzer.o $(if $(filter x86_64,$(MACHINE)),,$(BUILD)/tests/ops/amx_test.o),$(call objects,tests/*.cc $(TESTED:%=tests/%/*.cc) $(TESTED:%=tests/%/*/*.cc)))
BENCH   := $(call objects,bench/*.cc)
# With Open MPI, inkling train runs on many machines. The build uses it if it is installed, or will be, for the machine that is built for.
NATIVE  := $(filter $(MACHINE),$(shell uname -m))
MPI     := $(if $(NATIVE),$(shell command -v mpicc)$(filter deps-mpi,$(MAKECMDGOALS)))
LIBRARY := $(filter-out $(BUILD)/core/ranks/$(if $(MPI),no_mpi,mpi_ranks).o,$(LIBRARY))
LDLIBS  += $(if $(MPI),$(shell mpicc --showme:link))
# Without the old C++ interface of MPI, which is a library of its own.
$(BUILD)/core/ranks/mpi_ranks.o: CPPFLAGS += -DOMPI_SKIP_MPICXX $(patsubst -I%,-isystem %,$(shell mpicc --showme:compile))
LADDER  := $(call objects,bench/ladder/*.cc) $(BUILD)/bench/harness.o
# The rungs are for this machine. The first three show what loops alone can do, without the compiler's own SIMD.
$(BUILD)/bench/ladder/rung%.o: CXXFLAGS += -O3 $(if $(filter x86_64,$(MACHINE)),-march=native)
$(patsubst %,$(BUILD)/bench/ladder/rung%.o,1_naive 2_blocked 3_packed): CXXFLAGS += -fno-tree-vectorize
# make asan and make fuzz link the kernels of the ordinary build.
LIBRARY := $(if $(KERNELS),$(filter-out $(BUILD)/ops/isa/isa_%,$(LIBRARY)) $(KERNELS),$(LIBRARY))
# The pages' scripts and style sheet are inside the program (apps/page/embed.h). -MMD does not track them.
$(filter $(BUILD)/apps/page/assets.o $(BUILD)/apps/lessons/% $(BUILD)/apps/explain/%,$(LIBRARY)): $(wildcard apps/page/*.css apps/page/*.js apps/lessons/*/*.js apps/explain/*.js)
# What calls oneDNN is a shared library, built if oneDNN is installed or is about to be (deps-bench).
PEERS   := $(if $(wildcard /usr/include/dnnl.hpp)$(filter deps-bench,$(MAKECMDGOALS)),$(BUILD)/bench/peers/onednn.so)
SOURCES := $(shell find core ops nn optim apps tests bench -name '*.cc' -o -name '*.h')

.PHONY: help all deps deps-check deps-bench deps-arm64 deps-pages deps-mpi train chat lessons test test-pages test-arm64 verify-arm64 verify bench bench-ladder asan tsan test-tsan fuzz tidy format check-layers check-thresholds check-isa check-libm clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 22

all: $(BUILD)/inkling $(BUILD)/inkling_tests $(BUILD)/inkling_bench $(PEERS)  ## build everything

deps:  ## install the Debian packages inkling needs
	@sh .ci/install $(PACKAGES)
deps-check:  ## install what fuzz, tidy, format and a build with clang need
	@sh .ci/install $(CHECK_PACKAGES)
deps-bench:  ## install the libraries that make bench compares with
	@sh .ci/install $(BENCH_PACKAGES)
deps-arm64:  ## install a cross compiler for arm64, arm64's libraries, and qemu-user
	@sh .ci/install $(ARM64_PACKAGES)
deps-mpi:  ## install what training on many machines needs: Open MPI
	@sh .ci/install $(MPI_PACKAGES)
deps-pages:  ## install what test-pages needs: a browser and a checker of HTML
	@sh .ci/install $(PAGES_PACKAGES)

train: $(BUILD)/inkling  ## train on stories, or on your own text with DATA=my.txt (OUT=, FLAGS=)
	@sh apps/train.sh $(BUILD)/inkling $(FLAGS)
# $(value ...): a $ in a path is a character of it.
train: export TEXT := $(value DATA)
train: export RUN := $(value OUT)

chat: $(BUILD)/inkling  ## pre-train on stories, fine-tune on conversations about them, and talk (OUT=, FLAGS=)
	@sh apps/chat.sh $(BUILD)/inkling $(FLAGS)
chat: export RUN := $(value OUT)

lessons: $(BUILD)/inkling  ## make the lessons' pages in build/lessons/
	$(BUILD)/inkling lesson --html $(BUILD)/lessons

# Without the optimiser, as under sanitizers, std::nan() and ldexp() of a constant are calls: nothing that check-libm is about.
test: $(BUILD)/inkling_tests $(BUILD)/inkling check-layers check-thresholds check-isa $(if $(SANITIZE),,check-libm)  ## run all tests (TEST=some)
	INKLING=$(BUILD)/inkling$(if $(EMULATOR),.sh) INKLING_EMULATOR='$(EMULATOR)' $(EMULATOR) $(BUILD)/inkling_tests $(if $(TEST),'$(TEST)')

# The kernel cannot start a program for another CPU, but it can start a script that does.
$(BUILD)/inkling.sh: $(BUILD)/inkling
	@printf '#!/bin/sh\nexec $(EMULATOR) $< "$$@"\n' > $@ && chmod +x $@
test: $(if $(EMULATOR),$(BUILD)/inkling.sh)

test-arm64:  ## build for arm64 and run the tests in an emulator, qemu-user (TEST=some, TESTED=folders)
	$(MAKE) BUILD=$(BUILD)/arm64 CXX='$(ARM64)' EMULATOR=qemu-aarch64 test
verify-arm64:  ## the quick part of test-arm64: compare the results of NEON with the known hashes
	$(MAKE) BUILD=$(BUILD)/arm64 CXX='$(ARM64)' EMULATOR=qemu-aarch64 verify

verify: $(BUILD)/inkling check-isa check-libm  ## compare this machine's results with the known hashes (inkling verify)
	$(EMULATOR) $(BUILD)/inkling verify

test-pages: $(BUILD)/inkling_tests $(BUILD)/inkling  ## open every page in a browser and use it (make deps-pages)
	INKLING=$(BUILD)/inkling $(BUILD)/inkling_tests '[pages]'

bench: $(BUILD)/inkling_bench $(PEERS)  ## measure against the machine's peak and other libraries (FILTER=regex, JSON=file, PYTHON=, TEXT=file)
	$(BUILD)/inkling_bench --filter='$(FILTER)' --json='$(JSON)' --python='$(PYTHON)' --text='$(TEXT)'

bench-ladder: $(BUILD)/inkling_ladder  ## from three loops to the engine's matrix product, rung by rung (bench/ladder/)
	$(BUILD)/inkling_ladder

# asan and fuzz share one build. Its kernels are those of the ordinary build: under clang's sanitizers they would be a hundred times slower.
# The tests find what a kernel reads or writes outside of its operands by pages without access (tests/fenced.h).
KERNELS_HERE = $(filter $(BUILD)/ops/isa/isa_%,$(LIBRARY))
SANITIZED = BUILD=$(BUILD)/sanitized CXX=clang++ OPT=-O1 KERNELS='$(KERNELS_HERE)' \
  SANITIZE='-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all'
# The code of apps that reads files is what make fuzz runs under the same sanitizers.
asan: $(KERNELS_HERE)  ## the tests of core, ops, nn, optim, of failing system calls and of fuzzing under AddressSanitizer and UBSan (clang)
	$(MAKE) $(SANITIZED) TESTED='core ops nn optim faults fuzz' test
fuzz: $(KERNELS_HERE)  ## give damaged files and flags to their readers, FUZZ_SECONDS each (FUZZ=some; clang)
	$(MAKE) $(SANITIZED) $(BUILD)/sanitized/inkling_fuzz
	@sh tests/fuzz/run.sh $(BUILD)/sanitized $(FUZZ_SECONDS) $(FUZZ)

# ThreadSanitizer does not see how libtbb orders tasks; core/happens_before.h tells it, and parallel.cc, which calls TBB, is not instrumented.
# It does not see the fence after streaming stores either (-Wno-tsan).
tsan:  ## core, ops and training runs under ThreadSanitizer
	$(MAKE) BUILD=$(BUILD)/tsan OPT=-O1 SANITIZE='-fsanitize=thread -Wno-tsan' TESTED='core ops' test-tsan
test-tsan: $(BUILD)/inkling_tests $(BUILD)/inkling
	@sh tests/tsan.sh $(BUILD)

tidy:  ## clang-tidy over the sources
	clang-tidy --quiet $(filter-out ops/isa/isa_% core/ranks/mpi_ranks.cc,$(filter %.cc,$(SOURCES))) -- -std=c++20 $(CPPFLAGS)

format:  ## clang-format, in place
	clang-format -i $(SOURCES)

check-layers:  ## core <- ops <- {nn, optim} <- apps, the folders of ops, and who may include SIMD headers
	@sh tests/check_layers.sh

check-thresholds:  ## every size at which code changes its path has a test on each side (tests/thresholds.txt)
	@sh tests/check_thresholds.sh

check-isa: $(LIBRARY) $(EMULATED_AMX)  ## the kernels of two instruction sets share no inline function
	@sh tests/check_isa.sh $(filter $(BUILD)/ops/isa/isa_%,$(LIBRARY)) $(EMULATED_AMX)

check-libm: $(LIBRARY) $(APP)  ## nothing calls the C library's exp, log, cos and so on: their bits differ from machine to machine
	@sh tests/check_libm.sh "$$($(CXX) -print-file-name=libm.so.6)" $^

clean:  ## remove what was built
	rm -rf $(BUILD)

$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@

$(PRECOMPILED).gch: tests/support.h
	@mkdir -p $(@D)
	@echo '#include "tests/support.h"' > $(PRECOMPILED)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -O1 -x c++-header $(PRECOMPILED) -o $@
$(filter %_test.o,$(TESTS)): $(PRECOMPILED).gch

$(BUILD)/libinkling.a: $(LIBRARY)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/inkling: $(APP) $(BUILD)/libinkling.a
	$(CXX) $(CXXFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/inkling_tests: $(TESTS) $(COMMANDS) $(BUILD)/bench/schedule_simulation.o $(BUILD)/libinkling.a
	$(CXX) $(CXXFLAGS) $(LDFLAGS) $^ $(CATCH) $(LDLIBS) -o $@

$(BUILD)/inkling_fuzz: $(FUZZER) $(COMMANDS) $(BUILD)/libinkling.a
	$(CXX) $(CXXFLAGS) -fsanitize=fuzzer $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/inkling_bench: $(BENCH) $(BUILD)/libinkling.a
	$(CXX) $(CXXFLAGS) $(LDFLAGS) $^ $(LDLIBS) -ldl -o $@

$(BUILD)/inkling_ladder: $(LADDER) $(BUILD)/libinkling.a
	$(CXX) $(CXXFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/bench/peers/onednn.so: bench/peers/onednn.cc bench/peers/onednn.h
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -fPIC -shared $< -ldnnl -o $@

# Parallel by default (JOBS=1: not). What is compiled waits for packages that the same command installs.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif
$(LIBRARY) $(APP) $(TESTS) $(PRECOMPILED).gch $(FUZZER) $(BENCH) $(LADDER) $(PEERS) test-arm64 verify-arm64: | $(filter deps%,$(MAKECMDGOALS))

-include $(LIBRARY:.o=.d) $(APP:.o=.d) $(TESTS:.o=.d) $(FUZZER:.o=.d) $(BENCH:.o=.d) $(LADDER:.o=.d) $(PRECOMPILED).d
