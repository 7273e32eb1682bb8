# The tests and checks: a part of the Makefile.

# make test: which tests, a name or a [tag]; TESTED: the folders of tests/ whose tests are built
TEST    ?=
TESTED  ?= *
# make fuzz: seconds for each target, and which targets (none: all)
FUZZ_SECONDS ?= 10
FUZZ    ?=
# make test-arm64: the cross compiler; EMULATOR: runs programs that this CPU cannot run
ARM64   ?= aarch64-linux-gnu-g++
EMULATOR ?=
# Catch2 is one header up to version 2, a library from 3 on.
CATCH    = $(shell test -e /usr/include/catch2/catch_all.hpp && echo -lCatch2)

# ---- What is built

# The tests have a table of the AMX kernels on emulated tiles, and compare the emulation with the instructions (amx_test).
EMULATED_AMX := $(BUILD)/tests/amx_emulation.o $(BUILD)/tests/emulated_amx_kernels.o
$(EMULATED_AMX): CXXFLAGS += -O3 $(if $(filter x86_64,$(MACHINE)),$(AVX512) $(BF16))
AMX_TEST := $(BUILD)/tests/ops/amx_test.o
$(AMX_TEST): CXXFLAGS += $(if $(filter x86_64,$(MACHINE)),$(AMX))

FUZZER  := $(filter-out %_test.o,$(call objects,tests/fuzz/*.cc))
TESTS   := $(filter-out $(BUILD)/tests/verifier.o $(BUILD)/tests/fuzz/libfuzzer.o $(if $(filter x86_64,$(MACHINE)),,$(AMX_TEST)),$(call objects,tests/*.cc $(TESTED:%=tests/%/*.cc) $(TESTED:%=tests/%/*/*.cc)))

# The headers that every test includes are parsed once: half of the time of compiling a small test. The tests' own speed matters only
# where they compute references for kernels: -O1; tests of apps: -O0. clang refuses a precompiled header that was made with other flags,
# so amx_test does not use it.
TEST_OPT = -O1
$(BUILD)/tests/apps/%_test.o: TEST_OPT = -O0
PRECOMPILED := $(BUILD)/tests/precompiled
PRECOMPILED_FLAGS = -include $(PRECOMPILED)$(TEST_OPT).h
$(AMX_TEST): PRECOMPILED_FLAGS =
$(BUILD)/tests/%_test.o: private CXXFLAGS += $(TEST_OPT) $(PRECOMPILED_FLAGS)
HEADERS_ONCE := $(PRECOMPILED)-O0.h.gch $(PRECOMPILED)-O1.h.gch
$(filter %_test.o,$(TESTS)): $(HEADERS_ONCE)
$(HEADERS_ONCE): $(PRECOMPILED)%.h.gch: tests/support.h
	@mkdir -p $(@D)
	@echo '#include "tests/support.h"' > $(PRECOMPILED)$*.h
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) $* -x c++-header $(PRECOMPILED)$*.h -o $@
TEST_OBJECTS := $(TESTS) $(BUILD)/tests/verifier.o $(FUZZER) $(HEADERS_ONCE)

$(BUILD)/inkling_tests: private LDLIBS := $(CATCH) $(LDLIBS)
$(BUILD)/inkling_tests: $(TESTS) $(COMMANDS) $(BUILD)/bench/schedule_simulation.o $(BUILD)/libinkling.a
	$(LINK)

# ---- Tests and checks

.PHONY: test test-pages tidy check-layers check-thresholds check-isa check-libm
# Without the optimiser, as under sanitizers, std::nan() and ldexp() of a constant are calls: nothing that check-libm is about.
test: $(BUILD)/inkling_tests $(BUILD)/inkling check-layers check-thresholds check-isa $(if $(SANITIZE),,check-libm)  ## run all tests (TEST=some)
	INKLING=$(BUILD)/inkling$(if $(EMULATOR),.sh) INKLING_EMULATOR='$(EMULATOR)' $(EMULATOR) $(BUILD)/inkling_tests $(if $(TEST),'$(TEST)')

test-pages: $(BUILD)/inkling_tests $(BUILD)/inkling  ## open every page in a browser and use it (make deps-pages)
	INKLING=$(BUILD)/inkling $(BUILD)/inkling_tests '[pages]'

tidy:  ## clang-tidy over the sources
	clang-tidy --quiet $(filter-out ops/isa/isa_% core/ranks/mpi_ranks.cc,$(filter %.cc,$(SOURCES))) -- -std=c++20 $(CPPFLAGS)

check-layers:  ## core <- ops <- {nn, optim} <- apps, the folders of ops, and who may include SIMD headers
	@sh tests/check_layers.sh

check-thresholds:  ## every size at which code changes its path has a test on each side (tests/thresholds.txt)
	@sh tests/check_thresholds.sh

check-isa: $(LIBRARY) $(EMULATED_AMX)  ## the kernels of two instruction sets share no inline function
	@sh tests/check_isa.sh $(filter $(call isa,%),$(LIBRARY)) $(EMULATED_AMX)

check-libm: $(LIBRARY) $(APP)  ## nothing calls the C library's exp, log, cos and so on: their bits differ from machine to machine
	@sh tests/check_libm.sh "$$($(CXX) -print-file-name=libm.so.6)" $^

# ---- arm64, in an emulator

.PHONY: test-arm64 verify-arm64 verifier
FOR_ARM64 = BUILD=$(BUILD)/arm64 CXX='$(ARM64)' EMULATOR=qemu-aarch64
test-arm64:  ## build for arm64 and run the tests in an emulator, qemu-user (TEST=some, TESTED=folders)
	$(MAKE) $(FOR_ARM64) test
verify-arm64:  ## the quick part of test-arm64: compare the results of NEON with the known hashes
	$(MAKE) $(FOR_ARM64) verifier
verifier: $(BUILD)/verifier
	$(EMULATOR) $(BUILD)/verifier verify

# The engine and the recipes, without the other commands.
VERIFIER := $(BUILD)/tests/verifier.o $(BUILD)/apps/verify.o $(filter $(BUILD)/apps/verify/% $(BUILD)/apps/run/training_step.o $(addprefix $(BUILD)/,core/% ops/% nn/% optim/%),$(LIBRARY))
$(BUILD)/verifier: $(VERIFIER)
	$(LINK)

# The kernel cannot start a program for another CPU, but it can start a script that does.
$(BUILD)/inkling.sh: $(BUILD)/inkling
	@printf '#!/bin/sh\nexec $(EMULATOR) $< "$$@"\n' > $@ && chmod +x $@
test: $(if $(EMULATOR),$(BUILD)/inkling.sh)

# ---- Sanitizers. Each has a build of its own.

.PHONY: asan fuzz tsan test-tsan
# asan and fuzz share one build. Its kernels are those of the ordinary build: under clang's sanitizers they would be a hundred times
# slower. The tests find what a kernel reads or writes outside of its operands by pages without access (tests/fenced.h).
KERNELS_HERE = $(filter $(call isa,%),$(LIBRARY))
SANITIZED = BUILD=$(BUILD)/sanitized CXX=clang++ OPT=-O1 KERNELS='$(KERNELS_HERE)' \
  SANITIZE='-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all'
# The code of apps that reads files is what make fuzz runs under the same sanitizers.
asan: $(KERNELS_HERE)  ## the tests of core, ops, nn, optim, of failing system calls and of fuzzing under AddressSanitizer and UBSan (clang)
	$(MAKE) $(SANITIZED) TESTED='core ops nn optim faults fuzz' test
fuzz: $(KERNELS_HERE)  ## give damaged files and flags to their readers, FUZZ_SECONDS each (FUZZ=some; clang)
	$(MAKE) $(SANITIZED) $(BUILD)/sanitized/inkling_fuzz
	@sh tests/fuzz/run.sh $(BUILD)/sanitized $(FUZZ_SECONDS) $(FUZZ)
$(BUILD)/inkling_fuzz: private LDFLAGS += -fsanitize=fuzzer
$(BUILD)/inkling_fuzz: $(FUZZER) $(COMMANDS) $(BUILD)/libinkling.a
	$(LINK)

# ThreadSanitizer does not see how libtbb orders tasks; core/happens_before.h tells it, and parallel.cc, which calls TBB, is not
# instrumented. It does not see the fence after streaming stores either (-Wno-tsan).
tsan:  ## core, ops and training runs under ThreadSanitizer
	$(MAKE) BUILD=$(BUILD)/tsan OPT=-O1 SANITIZE='-fsanitize=thread -Wno-tsan' TESTED='core ops' test-tsan
test-tsan: $(BUILD)/inkling_tests $(BUILD)/inkling
	@sh tests/tsan.sh $(BUILD)
$(BUILD)/core/parallel.o: CXXFLAGS += $(if $(findstring thread,$(SANITIZE)),-fno-sanitize=thread -DINKLING_TSAN)

ifneq ($(SANITIZE),)
# The optimiser takes most of the time of compiling apps: -O0. ASan would mark the start and the end of the life of every operand of
# an inlined intrinsic: compiling isa_avx512.cc would take minutes. Without these marks it takes 20 s.
$(BUILD)/apps/%.o: private CXXFLAGS += -O0
$(call isa,%) $(EMULATED_AMX): CXXFLAGS += -fno-sanitize-address-use-after-scope
endif
