// Windows times a matrix of weights.

#pragma once

#include "dot.h"
#include "epilogue.h"

enum Form : i32 {
    PAIRS,  // elements of 16 bits, sums of 32
    QUADS,  // elements and weights of 8 bits, sums of 32
    WIDE    // elements of any width, sums of 64
};

struct Products {
    Windows x;
    Sink sink;
    // PAIRS, QUADS: [group of outputs][step][output][element], padded with 0.
    // WIDE: [run][element][output] in 64 bits.
    const char *weights;
    const i64 *places;  // of each step the first byte, counted from the beginning of a window
    i64 steps;
    i32 outputs;
    i32 form;
    i32 shift;    // from the binary point of a product to that of the accumulator

    i64 tasks(const Frame &frame) const { return pieces(sink, frame, pixels_at_once()); }

    bool run(const Frame &frame, i64 task) const {
        const Piece at = piece(sink, frame, pixels_at_once(), task);
        const i64 tiles = (at.count + PIXELS - 1) / PIXELS * PIXELS;
        const char **windows = scratch<const char *, 0>(tiles);
        x.places(frame, at.first, at.count, windows);
        std::fill(windows + at.count, windows + tiles, windows[at.count - 1]);
        if (form == WIDE)
            return sink.finish<i64>(frame, at.first, at.count, [&](i64 done, i64 n, i64 *to) {
                for (i64 p = 0; p < n; p++)
                    wide_sums(windows[done + p], to + p * outputs);
            });
        i32 *sums = scratch<i32, 1>(tiles * groups() * GROUP);
        add_up(windows, at.count, sums);
        return sink.program->wide ? finish<i64>(frame, at, sums) : finish<i32>(frame, at, sums);
    }

private:
    i64 groups() const { return (outputs + GROUP - 1) / GROUP; }

    i64 pixels_at_once() const {
        const i64 sums = 4096;  // of a piece: few enough to stay in the cache
        return std::max<i64>(sums / (groups() * GROUP), 16) / PIXELS * PIXELS;
    }

    // ---- narrow --------------------------------------------------------------------------------

    template <class T> bool finish(const Frame &frame, Piece at, const i32 *sums) const {
        const i64 stride = groups() * GROUP;
        const auto shifted = [this](const i32 *from, i64 n, T *to) {
            const int bits = shift;
            for (i64 k = 0; k < n; k++)
                to[k] = shifted_left(T(from[k]), bits);
        };
        return sink.finish<T>(frame, at.first, at.count, [=](i64 done, i64 n, T *to) {
            if (outputs == stride)
                return shifted(sums + done * stride, n * stride, to);
            for (i64 p = 0; p < n; p++)
                shifted(sums + (done + p) * stride, outputs, to + p * outputs);
        });
    }

    void add_up(const char *const *windows, i64 count, i32 *sums) const {
        i64 group = 0;
        for (; group + GROUPS <= groups(); group += GROUPS)
            add_up<GROUPS>(windows, count, group, sums);
        for (; group < groups(); group++)
            add_up<1>(windows, count, group, sums);
    }

    template <int G>
    void add_up(const char *const *windows, i64 count, i64 group, i32 *sums) const {
        i64 p = 0;
        for (; p + PIXELS / 2 < count; p += PIXELS)
            tile<PIXELS, G>(windows + p, group, sums + p * groups() * GROUP);
        for (; p + 1 < count; p += PIXELS / 2)
            tile<PIXELS / 2, G>(windows + p, group, sums + p * groups() * GROUP);
        for (; p < count; p++)
            tile<1, G>(windows + p, group, sums + p * groups() * GROUP);
    }

    template <int P, int G> void tile(const char *const *windows, i64 group, i32 *sums) const {
#if defined(CALOCC_QUADS)
        if (form == QUADS)
            return tile<P, G>(windows, group, sums, [](const Lanes &sum, auto x, const Lanes &w) {
                return quads(sum, x, w);
            });
#endif
        tile<P, G>(windows, group, sums, [](const Lanes &sum, auto x, const Lanes &w) {
            return pairs(sum, x, w);
        });
    }

    // The sums of P windows for G groups of outputs; all of them stay in vector registers.
    template <int P, int G, class Dot>
    void tile(const char *const *windows, i64 group, i32 *sums, Dot dot) const {
        const int parts = GROUP / LANES, vectors = G * parts;
        const char *window[P];
        Lanes sum[P][vectors];
        for (int p = 0; p < P; p++) {
            window[p] = windows[p];
            for (int v = 0; v < vectors; v++)
                sum[p][v] = no_lanes();
        }
        const i64 per_group = steps * WEIGHTS;
        const char *w = weights + group * per_group;
        for (i64 k = 0; k < steps; k++, w += WEIGHTS) {
            const i64 at = places[k];
            Lanes row[vectors];
            for (int v = 0; v < vectors; v++)
                row[v] = weights_at(w + v / parts * per_group + v % parts * (LANES * STEP));
            for (int p = 0; p < P; p++) {
                const Spread elements = spread_at(window[p] + at);
                for (int v = 0; v < vectors; v++)
                    sum[p][v] = dot(sum[p][v], elements, row[v]);
            }
        }
        for (int p = 0; p < P; p++)
            for (int v = 0; v < vectors; v++)
                keep(sum[p][v], sums + p * groups() * GROUP + group * GROUP + v * LANES);
    }

    // ---- wide ----------------------------------------------------------------------------------

    void wide_sums(const char *window, i64 *sums) const {
        with_kind(x.kind, [=](auto element) {
            typedef decltype(element) E;
            std::fill(sums, sums + outputs, 0);
            const i64 *w = reinterpret_cast<const i64 *>(weights);
            for (i64 r = 0; r < x.runs; r++) {
                const E *elements = reinterpret_cast<const E *>(window) + x.first[r];
                for (i64 k = 0; k < x.length; k++, w += outputs)
                    for (i64 o = 0; o < outputs; o++)
                        sums[o] = i64(u64(sums[o]) + u64(elements[k]) * u64(w[o]));
            }
            for (i64 o = 0; o < outputs; o++)
                sums[o] = shifted_left(sums[o], shift);
        });
    }
};
