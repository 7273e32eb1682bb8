# inkling: `make help` lists what there is. Non-recursive; every .cc in a folder belongs to it; -MMD -MP tracks headers.

BUILD    ?= build
CXX      ?= g++
OPT      ?= -O2
DATA     ?=
OUT      ?= runs/$(if $(DATA),$(basename $(notdir $(DATA))),stories)

# The -Wconversion family keeps sizes 64-bit; warnings are errors of ours, so none may pass.
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion
# -ffp-contract=off: only an explicit fma() fuses, so every compiler computes the same. Never -ffast-math.
CXXFLAGS += -std=c++20 $(OPT) -g1 -ffp-contract=off $(WARNINGS) -MMD -MP
CPPFLAGS += -I.
LDLIBS   += -ltbb -lpcre2-8 -lxxhash -lpthread

# Only the isa files get -m flags; the best table is chosen at start, so one binary runs on any x86-64.
ifneq ($(filter x86_64,$(shell uname -m)),)
$(BUILD)/ops/isa_avx2.o:   CXXFLAGS += -mavx2 -mfma
$(BUILD)/ops/isa_avx512.o: CXXFLAGS += -mavx2 -mfma -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512
endif
# Kernels are optimised in every build, so that the sanitizers' run stays short.
$(BUILD)/ops/isa_%.o: CXXFLAGS += -O3

LIBRARY  := $(patsubst %.cc,$(BUILD)/%.o,$(wildcard core/*.cc ops/*.cc nn/*.cc optim/*.cc apps/text/*.cc apps/run/*.cc))
APP      := $(patsubst %.cc,$(BUILD)/%.o,$(wildcard apps/*.cc))
TESTS    := $(patsubst %.cc,$(BUILD)/%.o,$(wildcard tests/*.cc tests/*/*.cc))
BENCH    := $(patsubst %.cc,$(BUILD)/%.o,$(wildcard bench/*.cc))
SOURCES  := $(wildcard core/* ops/* nn/* optim/* apps/*.* apps/*/* tests/*.* tests/*/*.cc tests/*/*.h bench/*.cc bench/*.h)

.PHONY: help all deps train test bench asan tidy format check-layers check-isa clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

$(BUILD)/%.o: %.cc
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@

$(BUILD)/libinkling.a: $(LIBRARY)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/tests/inkling_tests: $(TESTS) $(BUILD)/libinkling.a
	$(CXX) $(CXXFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

test: $(BUILD)/tests/inkling_tests  ## build and run every test
	$(BUILD)/tests/inkling_tests

-include $(LIBRARY:.o=.d) $(APP:.o=.d) $(TESTS:.o=.d) $(BENCH:.o=.d)
