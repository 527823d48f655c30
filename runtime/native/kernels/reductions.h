// Sums, weighted sums and maxima per channel over windows.

#pragma once

#include "epilogue.h"

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
        typedef typename wrapping<T>::type U;
        const auto add = [](T sum, T value, T) { return T(U(sum) + U(value)); };
        const auto most = [](T best, T value, T) { return std::max(best, value); };
        const auto add_weighted = [](T sum, T value, T weight) {
            return T(U(sum) + U(value) * U(weight));
        };
        if (combination == WEIGHTED)
            fold(window, static_cast<const T *>(weights), to, add_weighted);
        else if (combination == MAX)
            fold(window, static_cast<const T *>(nullptr), to, most);
        else
            fold(window, static_cast<const T *>(nullptr), to, add);
    }

    template <class E, class T, class F>
    void fold(const E *window, const T *w, T *to, F f) const {
        i64 channel = 0;
        for (; channel + BLOCK <= x.length; channel += BLOCK)
            fold<BLOCK>(window, w, channel, to, f);
        for (; channel < x.length; channel++)
            fold<1>(window, w, channel, to, f);
    }

    template <int N, class E, class T, class F>
    void fold(const E *window, const T *w, i64 channel, T *to, F f) const {
        T result[N];
        for (int k = 0; k < N; k++)
            result[k] = combination == MAX ? T(window[x.first[0] + channel + k]) : T(0);
        for (i64 tap = 0; tap < x.runs; tap++) {
            const E *elements = window + x.first[tap] + channel;
            const T *row = w ? w + tap * x.length + channel : result;
            for (int k = 0; k < N; k++)
                result[k] = f(result[k], T(elements[k]), row[k]);
        }
        for (int k = 0; k < N; k++)
            to[channel + k] = shifted_left(result[k], shift);
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
