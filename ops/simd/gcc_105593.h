// Include this file first in a .cc file with AVX-512 intrinsics. It turns off two warnings for the rest of
// that file: g++ 12 warns about _mm512_undefined_ps() in its own header avx512fintrin.h (GCC bug 105593).
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
