// The values of a network while it runs on a block of events.

#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "integers.h"

// Values are numbered; each has a place for every event of the block.
struct Frame {
    char *const *places;
    const i64 *bytes;    // from event to event
    i64 events;

    template <class E> E *at(i32 value, i64 event) const {
        return reinterpret_cast<E *>(places[value] + event * bytes[value]);
    }
};

// A value seen as pixels x channels. Steps of 0 repeat what there is once per event or per pixel.
struct Stream {
    i32 value;
    i32 kind;
    i64 pixel;    // elements from pixel to pixel
    i64 channel;  // elements from channel to channel: 1 or 0
};

// Calls f(row, column, done, n) for each run of up to `most` elements that lie in one row; rows
// are events and elements pixels, or rows and pixels of images.
template <class F> void in_runs(i64 per_row, i64 first, i64 count, i64 most, F f) {
    i64 row = first / per_row, column = first % per_row;
    for (i64 done = 0; done < count;) {
        const i64 n = std::min({most, count - done, per_row - column});
        f(row, column, done, n);
        done += n;
        column += n;
        if (column == per_row) {
            column = 0;
            row++;
        }
    }
}

// Repeats the first `size` elements until there are `total`.
template <class T> void repeat(T *to, i64 size, i64 total) {
    for (; size < total; size *= 2)
        std::memcpy(to + size, to, std::min(size, total - size) * sizeof(T));
}

// Pixels `first` to `first + count - 1`, counted through all events, to registers.
template <class T>
void read(const Stream &s, const Frame &frame, i64 per_event, int channels, i64 first, i64 count,
          T *to) {
    const i64 row = s.channel ? channels : 1;          // elements of a pixel that are stored
    const bool together = s.pixel == channels || s.pixel == 0;
    with_kind(s.kind, [&](auto element) {
        typedef decltype(element) E;
        const i64 most = together ? count : 1;
        in_runs(per_event, first, count, most, [&](i64 event, i64 pixel, i64 done, i64 n) {
            const E *x = frame.at<E>(s.value, event) + pixel * s.pixel;
            T *y = to + done * channels;
            const i64 stored = s.pixel == 0 ? row : n * row;
            for (i64 k = 0; k < stored; k++)
                y[k] = T(x[k]);
            repeat(y, stored, n * channels);
        });
    });
}

// The other way round: a value whose pixels lie side by side, from registers.
template <class T>
void write(i32 value, i32 kind, const Frame &frame, i64 per_event, int channels, i64 first,
           i64 count, const T *from) {
    with_kind(kind, [&](auto element) {
        typedef decltype(element) E;
        in_runs(per_event, first, count, count, [&](i64 event, i64 pixel, i64 done, i64 n) {
            const T *x = from + done * channels;
            E *y = frame.at<E>(value, event) + pixel * channels;
            for (i64 k = 0; k < n * channels; k++)
                y[k] = E(x[k]);
        });
    });
}

// Windows over the images of a value.
struct Windows {
    i32 value;
    i32 kind;
    i64 columns;       // of results
    i64 pixels;        // of results per event
    i64 down, across;  // elements from window to window
    i64 runs;
    i64 length;        // elements that lie side by side in a run
    const i64 *first;  // element of each run, from the beginning of the window

    // Where the windows of `count` pixels begin, the first of which is `pixel`.
    void places(const Frame &frame, i64 pixel, i64 count, const char **to) const {
        const i64 next = across * bytes_of(kind), next_row = down * bytes_of(kind);
        in_runs(columns, pixel, count, count, [=](i64 row, i64 column, i64 done, i64 n) {
            const i64 rows = pixels / columns;
            const char *at = frame.at<char>(value, row / rows);
            at += row % rows * next_row + column * next;
            for (i64 k = 0; k < n; k++, at += next)
                to[done + k] = at;
        });
    }
};
