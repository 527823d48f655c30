// Element-wise steps: nothing but an epilogue.

#pragma once

#include "epilogue.h"

struct Elements {
    Sink sink;

    i64 tasks(const Frame &frame) const { return pieces(sink, frame, pixels_at_once()); }

    bool run(const Frame &frame, i64 task) const {
        const Piece at = piece(sink, frame, pixels_at_once(), task);
        return sink.program->wide ? run<i64>(frame, at) : run<i32>(frame, at);
    }

private:
    i64 pixels_at_once() const { return 4 * sink.program->block_pixels(); }

    template <class T> bool run(const Frame &frame, Piece at) const {
        return sink.finish<T>(frame, at.first, at.count, [](i64, i64, T *) {});
    }
};
