// Sums, weighted sums and maxima per channel over windows.

#pragma once

#include "epilogue.h"

// N elements side by side, as g++ and clang put them into vector registers.
template <class T, int N> using vector __attribute__((vector_size(N * sizeof(T)))) = T;

enum Combination : i32 { SUM, MAX, WEIGHTED };

struct Reduction {
    Windows x;            // a run for each tap, as long as there are channels
    Sink sink;
    const void *weights;  // [tap][channel][multiplier] as wide as registers
    i32 combination;
    i32 multiplier;       // results per channel
    i32 shift;            // from the binary point of a result to that of the accumulator

    i64 tasks(const Frame &frame) const { return pieces(sink, frame, pixels_at_once()); }

    bool run(const Frame &frame, i64 task) const {
        return with_kind(x.kind, [&](auto element) {
            typedef decltype(element) E;
            return sink.program->wide ? run<E, i64>(frame, task) : run<E, i32>(frame, task);
        });
    }

private:
    static const int BLOCK = 16;  // channels whose results stay in vector registers

    i64 pixels_at_once() const { return std::max(4096 / sink.program->channels, 1); }

    template <class E, class T> bool run(const Frame &frame, i64 task) const {
        const Piece at = piece(sink, frame, pixels_at_once(), task);
        const char **windows = scratch<const char *, 0>(at.count);
        x.places(frame, at.first, at.count, windows);
        return sink.finish<T>(frame, at.first, at.count, [&](i64 done, i64 n, T *to) {
            for (i64 p = 0; p < n; p++, to += sink.program->channels)
                combine(reinterpret_cast<const E *>(windows[done + p]), to);
        });
    }

    template <class E, class T> void combine(const E *window, T *to) const {
        if (combination == WEIGHTED && multiplier > 1)
            return spread_out(window, to);
        i64 channel = 0;
        for (; channel + BLOCK <= x.length; channel += BLOCK)
            combine<BLOCK>(window, channel, to + channel);
        for (; channel < x.length; channel++)
            combine<1>(window, channel, to + channel);
    }

    template <int N, class E, class T> void combine(const E *window, i64 channel, T *to) const {
        typedef typename wrapping<T>::type U;
        vector<U, N> result = {};
        if (combination == MAX)
            greatest<N>(window + channel, result);
        else
            for (i64 tap = 0; tap < x.runs; tap++) {
                vector<U, N> elements, factors;
                load<N>(window + x.first[tap] + channel, elements);
                if (combination == WEIGHTED) {
                    load<N>(static_cast<const T *>(weights) + tap * x.length + channel, factors);
                    elements *= factors;
                }
                result += elements;
            }
        result <<= shift;
        std::memcpy(to, &result, sizeof(result));
    }

    template <int N, class E, class V> void greatest(const E *window, V &result) const {
        vector<E, N> best, other;
        std::memcpy(&best, window + x.first[0], sizeof(best));
        for (i64 tap = 1; tap < x.runs; tap++) {
            std::memcpy(&other, window + x.first[tap], sizeof(other));
            best = other > best ? other : best;
        }
        result = __builtin_convertvector(best, V);
    }

    template <int N, class E, class V> static void load(const E *from, V &to) {
        vector<E, N> elements;
        std::memcpy(&elements, from, sizeof(elements));
        to = __builtin_convertvector(elements, V);
    }

    // Weighted sums with several results per channel.
    template <class E, class T> void spread_out(const E *window, T *to) const {
        typedef typename wrapping<T>::type U;
        const i64 results = x.length * multiplier;
        const T *w = static_cast<const T *>(weights);
        std::fill(to, to + results, T(0));
        for (i64 tap = 0; tap < x.runs; tap++, w += results)
            for (i64 k = 0; k < results; k++)
                to[k] = T(U(to[k]) + U(window[x.first[tap] + k / multiplier]) * U(w[k]));
        for (i64 k = 0; k < results; k++)
            to[k] = shifted_left(to[k], shift);
    }
};
