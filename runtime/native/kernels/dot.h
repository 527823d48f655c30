// Products of a few integers each in all lanes of a vector, as wide as the processor has them.
//
// A step takes 4 bytes of an operand, 2 elements of 16 bits or 4 unsigned ones of 8 bits, and for
// each of GROUP outputs as many signed weights. The sums wrap modulo 2^32; nothing saturates.

#pragma once

#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "integers.h"

const int GROUP = 16;              // outputs whose weights lie side by side
const int STEP = 4;                // bytes of the operand
const int WEIGHTS = GROUP * STEP;  // bytes of weights

#if defined(__AVX512BW__)

typedef __m512i Lanes;
typedef __m512i Spread;
const int LANES = 16, PIXELS = 8, GROUPS = 2;

inline Lanes no_lanes() { return _mm512_setzero_si512(); }
inline Lanes weights_at(const char *w) { return _mm512_loadu_si512(w); }
inline void keep(Lanes sums, i32 *to) { _mm512_storeu_si512(to, sums); }
inline Spread spread(i32 x) { return _mm512_set1_epi32(x); }

#if defined(__AVX512VNNI__)
#define CALOCC_QUADS
inline Lanes pairs(Lanes sums, Spread x, Lanes w) { return _mm512_dpwssd_epi32(sums, x, w); }
inline Lanes quads(Lanes sums, Spread x, Lanes w) { return _mm512_dpbusd_epi32(sums, x, w); }
#else
inline Lanes pairs(Lanes sums, Spread x, Lanes w) {
    return _mm512_add_epi32(sums, _mm512_madd_epi16(x, w));
}
#endif

#elif defined(__AVX2__)

typedef __m256i Lanes;
typedef __m256i Spread;
const int LANES = 8, PIXELS = 4, GROUPS = 1;

inline Lanes no_lanes() { return _mm256_setzero_si256(); }
inline Lanes weights_at(const char *w) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(w));
}
inline void keep(Lanes sums, i32 *to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), sums);
}
inline Spread spread(i32 x) { return _mm256_set1_epi32(x); }
inline Lanes pairs(Lanes sums, Spread x, Lanes w) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(x, w));
}

#if defined(__AVXVNNI__)
#define CALOCC_QUADS
inline Lanes quads(Lanes sums, Spread x, Lanes w) { return _mm256_dpbusd_avx_epi32(sums, x, w); }
#endif

#else

struct Lanes {
    i32 lane[GROUP];
};
typedef i32 Spread;
const int LANES = GROUP, PIXELS = 2, GROUPS = 1;

inline Lanes no_lanes() { return {}; }
inline Lanes weights_at(const char *w) {
    Lanes result;
    std::memcpy(result.lane, w, sizeof(result.lane));
    return result;
}
inline void keep(const Lanes &sums, i32 *to) { std::memcpy(to, sums.lane, sizeof(sums.lane)); }
inline Spread spread(i32 x) { return x; }

// The elements of a step in each lane, W the weights' type and X the operand's.
template <class X, class W> Lanes add_products(Lanes sums, Spread x, const Lanes &w) {
    const int n = STEP / sizeof(X);
    X elements[n];
    W weights[GROUP * n];
    std::memcpy(elements, &x, STEP);
    std::memcpy(weights, w.lane, WEIGHTS);
    for (int lane = 0; lane < GROUP; lane++)
        for (int k = 0; k < n; k++)
            sums.lane[lane] = i32(u32(sums.lane[lane]) +
                                  u32(i32(elements[k]) * i32(weights[lane * n + k])));
    return sums;
}

#define CALOCC_QUADS
inline Lanes pairs(const Lanes &sums, Spread x, const Lanes &w) {
    return add_products<i16, i16>(sums, x, w);
}
inline Lanes quads(const Lanes &sums, Spread x, const Lanes &w) {
    return add_products<u8, i8>(sums, x, w);
}

#endif

inline Spread spread_at(const char *x) {
    i32 bytes;
    std::memcpy(&bytes, x, STEP);
    return spread(bytes);
}
