# inkling: `make help` lists all targets. Every .cc file in a folder belongs to the build; -MMD -MP tracks the headers.
# tests/tests.mk has the tests and checks, bench/bench.mk the benchmarks.

BUILD   ?= build
CXX     ?= g++
OPT     ?= -O2
JOBS    ?= $(shell nproc)
# make train: a text (none: stories), the directory of the run (none: runs/NAME OF THE TEXT), flags of inkling train
DATA    ?=
OUT     ?=
FLAGS   ?=

# The -Wconversion family keeps sizes 64-bit. No warning is tolerated (CI sets CI=true; WERROR=1 does the same).
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(if $(WERROR)$(CI),-Werror)
# -ffp-contract=off: only an explicit fma() fuses, so every compiler computes the same. Never -ffast-math.
CXXFLAGS += -std=c++20 $(OPT) -g1 -ffp-contract=off $(WARNINGS) $(SANITIZE) -MMD -MP
CPPFLAGS += -I.
LDLIBS   += -ltbb -lxxhash -lpthread

# ---- What is built

objects   = $(patsubst %.cc,$(BUILD)/%.o,$(wildcard $(1)))
APP      := $(call objects,apps/*.cc)
LIBRARY  := $(call objects,core/*.cc core/*/*.cc ops/*.cc ops/*/*.cc nn/*.cc optim/*.cc apps/*/*.cc apps/*/*/*.cc)
COMMANDS := $(filter-out $(BUILD)/apps/main.o,$(APP))
SOURCES  := $(shell find core ops nn optim apps tests bench -name '*.cc' -o -name '*.h')

# Only the files in ops/isa get -m flags. The program chooses the best table of kernels at its start, so one binary runs on any
# x86-64. On arm64 the files need no flags. Kernels are optimised in every build, so that the sanitizers' run stays short.
MACHINE  := $(or $(firstword $(subst -, ,$(shell $(CXX) -dumpmachine 2>/dev/null))),$(shell uname -m))
AVX512   := -mavx2 -mfma -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512
BF16     := -mavx512bf16 -mavx512vnni
AMX      := -mamx-tile -mamx-bf16
isa       = $(BUILD)/ops/isa/isa_$(1).o
$(call isa,%): CXXFLAGS += -O3
ifeq ($(MACHINE),x86_64)
$(call isa,avx2):        CXXFLAGS += -mavx2 -mfma
$(call isa,avx512):      CXXFLAGS += $(AVX512)
$(call isa,avx512_bf16): CXXFLAGS += $(AVX512) $(BF16)
$(call isa,amx):         CXXFLAGS += $(AVX512) $(BF16) $(AMX)
endif

# With Open MPI, inkling train runs on many machines. The build uses it if it is installed, or will be by this command, for the
# machine that is built for. It does not use the old C++ interface of MPI, which is a library of its own.
MPI      := $(if $(filter $(MACHINE),$(shell uname -m)),$(shell command -v mpicc)$(filter deps-mpi,$(MAKECMDGOALS)))
LIBRARY  := $(filter-out $(BUILD)/core/ranks/$(if $(MPI),no_mpi,mpi_ranks).o,$(LIBRARY))
LDLIBS   += $(if $(MPI),$(shell mpicc --showme:link))
$(BUILD)/core/ranks/mpi_ranks.o: CPPFLAGS += -DOMPI_SKIP_MPICXX $(patsubst -I%,-isystem %,$(shell mpicc --showme:compile))

# Under some sanitizers, a build links the kernels of another build (KERNELS in tests/tests.mk).
LIBRARY  := $(if $(KERNELS),$(filter-out $(call isa,%),$(LIBRARY)) $(KERNELS),$(LIBRARY))

# The pages' scripts and style sheet are inside the program (apps/page/embed.h). -MMD does not track them.
$(filter $(BUILD)/apps/page/assets.o $(BUILD)/apps/lessons/% $(BUILD)/apps/explain/%,$(LIBRARY)): $(wildcard apps/page/*.css apps/page/*.js apps/lessons/*/*.js apps/explain/*.js)

# ---- Targets

.DEFAULT_GOAL := help
.PHONY: help all train chat lessons verify format clean
help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 22

all: $(BUILD)/inkling $(BUILD)/inkling_tests $(BUILD)/inkling_bench  ## build everything

# Debian's packages: a target installs the packages of the variable with its name.
deps       := g++ libxsimd-dev libtbb-dev libcli11-dev nlohmann-json3-dev libxxhash-dev catch2
deps-check := clang clang-tidy clang-format libclang-rt-dev llvm
deps-bench := libdnnl-dev libopenblas-dev
deps-pages := tidy chromium
deps-mpi   := libopenmpi-dev openmpi-bin
deps-arm64  = g++-aarch64-linux-gnu qemu-user libtbb-dev:arm64 libxxhash-dev:arm64 $(if $(CATCH),catch2:arm64)
DEPS       := deps deps-check deps-bench deps-arm64 deps-mpi deps-pages
.PHONY: $(DEPS)
$(DEPS):
	@sh .ci/install $($@)
deps:  ## install the Debian packages inkling needs
deps-check:  ## install what fuzz, tidy, format and a build with clang need
deps-bench:  ## install the libraries that make bench compares with
deps-arm64:  ## install a cross compiler for arm64, arm64's libraries, and qemu-user
deps-mpi:  ## install what training on many machines needs: Open MPI
deps-pages:  ## install what test-pages needs: a browser and a checker of HTML

train: $(BUILD)/inkling  ## train on stories, or on your own text with DATA=my.txt (OUT=, FLAGS=)
	@sh apps/train.sh $(BUILD)/inkling $(FLAGS)
chat: $(BUILD)/inkling  ## pre-train on stories, fine-tune on conversations about them, and talk (OUT=, FLAGS=)
	@sh apps/chat.sh $(BUILD)/inkling $(FLAGS)
# $(value ...): a $ in a path is a character of it.
train: export TEXT := $(value DATA)
train chat: export RUN := $(value OUT)

lessons: $(BUILD)/inkling  ## make the lessons' pages in build/lessons/
	$(BUILD)/inkling lesson --html $(BUILD)/lessons

verify: $(BUILD)/inkling check-isa check-libm  ## compare this machine's results with the known hashes (inkling verify)
	$(EMULATOR) $(BUILD)/inkling verify

format:  ## clang-format, in place
	clang-format -i $(SOURCES)

clean:  ## remove what was built
	rm -rf $(BUILD)

include tests/tests.mk bench/bench.mk

# ---- Rules

$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@

$(BUILD)/libinkling.a: $(LIBRARY)
	@rm -f $@
	ar rcs $@ $^

LINK = $(CXX) $(CXXFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@
$(BUILD)/inkling: $(APP) $(BUILD)/libinkling.a
	$(LINK)

# Parallel by default (JOBS=1: not). What is compiled waits for packages that the same command installs.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif
OBJECTS := $(LIBRARY) $(APP) $(TEST_OBJECTS) $(BENCH_OBJECTS)
$(OBJECTS) $(PEERS) test-arm64 verify-arm64: | $(filter deps%,$(MAKECMDGOALS))
-include $(patsubst %.gch,%.d,$(OBJECTS:.o=.d))
