// Integers of all widths, and how values of the network are stored.
//
// Sums of products and all exact operations wrap modulo 2^32 or 2^64, so a result is right
// whenever it fits, whatever the partial results do; the caller has proved that it fits.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

typedef std::uint8_t u8;
typedef std::int8_t i8;
typedef std::int16_t i16;
typedef std::int32_t i32;
typedef std::int64_t i64;
typedef std::uint32_t u32;
typedef std::uint64_t u64;

template <class T> struct wrapping;
template <> struct wrapping<i32> { typedef u32 type; };
template <> struct wrapping<i64> { typedef u64 type; };

template <class T> T shifted_left(T x, int bits) {
    return T(typename wrapping<T>::type(x) << bits);
}

// The type in which mantissas are stored: the narrowest of these that holds their format.
enum Kind : i32 { U8, I16, I32, I64 };

// Calls f with an element of the kind.
template <class F> auto with_kind(i32 kind, F f) {
    switch (kind) {
    case U8: return f(u8());
    case I16: return f(i16());
    case I32: return f(i32());
    default: return f(i64());
    }
}

inline int bytes_of(i32 kind) { return 1 << kind; }

// Working memory of a thread, kept from call to call; its content is left over from the last one.
template <class T, int slot> T *scratch(std::size_t size) {
    thread_local std::vector<T> storage;
    if (storage.size() < size)
        storage.resize(size);
    return storage.data();
}
