// Sums of taps of repeated pixels.

#pragma once

#include "epilogue.h"

struct TapSum {
    i32 value;
    i32 kind;
    i32 taps;
    i32 shift;         // from the binary point of an element to that of the accumulator
    Sink sink;
    const i64 *first;  // [pixel of an event][tap]: the tap of the first channel, or -1 for none

    i64 tasks(const Frame &frame) const { return pieces(sink, frame, pixels_at_once()); }

    bool run(const Frame &frame, i64 task) const {
        return with_kind(kind, [&](auto element) {
            typedef decltype(element) E;
            return sink.program->wide ? run<E, i64>(frame, task) : run<E, i32>(frame, task);
        });
    }

private:
    i64 pixels_at_once() const { return std::max(4096 / sink.program->channels, 1); }

    template <class E, class T> bool run(const Frame &frame, i64 task) const {
        const Piece at = piece(sink, frame, pixels_at_once(), task);
        return sink.finish<T>(frame, at.first, at.count, [&](i64 done, i64 count, T *to) {
            for (i64 p = at.first + done; p < at.first + done + count; p++) {
                const i64 event = p / sink.pixels, pixel = p % sink.pixels;
                add(frame.at<E>(value, event), first + pixel * taps, to);
                to += sink.program->channels;
            }
        });
    }

    template <class E, class T> void add(const E *x, const i64 *places, T *to) const {
        typedef typename wrapping<T>::type U;
        const i64 channels = sink.program->channels;
        std::fill(to, to + channels, T(0));
        for (int tap = 0; tap < taps; tap++)
            if (places[tap] >= 0)
                for (i64 m = 0; m < channels; m++)
                    to[m] = T(U(to[m]) + U(x[places[tap] + m * taps]));
        for (i64 m = 0; m < channels; m++)
            to[m] = shifted_left(to[m], shift);
    }
};
