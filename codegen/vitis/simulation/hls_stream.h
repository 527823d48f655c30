#ifndef X_HLS_STREAM_SIM_H
#define X_HLS_STREAM_SIM_H

// hls::stream for simulation: FIFOs without a limit, with the methods of the class in Vitis HLS.
//
// Stands in the place of the header of ap_types, whose std::deque is compiled anew for every type of
// beat: a third of the time that g++ takes for a design. Here one class keeps bytes for all of them.
// Only one thread may use a stream.

#ifdef HLS_STREAM_THREAD_SAFE
#error "these streams are for one thread; take hls_stream.h of ap_types"
#endif

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

namespace hls {

// A ring of elements of `width` bytes, which may be moved as bytes. Functions that are not short
// are kept out of line, so that they are compiled once.
class byte_fifo {
    std::string name;
    std::size_t width;
    unsigned char *ring = nullptr;
    std::size_t places = 0;
    std::size_t first = 0;
    std::size_t count = 0;

    __attribute__((noinline)) void grow() {
        const std::size_t more = places == 0 ? 16 : 2 * places;
        unsigned char *larger = static_cast<unsigned char *>(std::malloc(more * width));
        if (!larger) {
            std::fprintf(stderr, "error: no memory for the stream '%s'\n", name.c_str());
            std::abort();
        }
        if (places != 0) {
            const std::size_t behind = (places - first) * width;
            std::memcpy(larger, ring + first * width, behind);
            std::memcpy(larger + behind, ring, first * width);
            std::free(ring);
        }
        ring = larger;
        places = more;
        first = 0;
    }
    void warn(const char *what) const {
        std::printf("WARNING: Hls::stream '%s' %s, which may result in RTL simulation hanging.\n",
                    name.c_str(), what);
    }

  public:
    byte_fifo(const char *name, std::size_t width) : name(name), width(width) {}
    byte_fifo(const byte_fifo &) = delete;
    byte_fifo &operator=(const byte_fifo &) = delete;
    __attribute__((noinline)) ~byte_fifo() {
        if (count != 0)
            warn("contains leftover data");
        std::free(ring);
    }
    std::size_t size() const { return count; }
    // The place of a new last element.
    __attribute__((noinline)) void *push() {
        if (count == places)
            grow();
        const std::size_t at = first + count++;
        return ring + (at < places ? at : at - places) * width;
    }
    // The first element, which stays where it is until the next push; null if there is none.
    __attribute__((noinline)) const void *pop() {
        if (count == 0) {
            warn("is read while empty");
            return nullptr;
        }
        const unsigned char *oldest = ring + first * width;
        first = first + 1 < places ? first + 1 : 0;
        count--;
        return oldest;
    }
};

template <typename T> class stream {
    byte_fifo fifo;

  public:
    stream() : fifo("hls_stream", sizeof(T)) {}
    stream(const char *name) : fifo(name, sizeof(T)) {}
    stream(const std::string &name) : fifo(name.c_str(), sizeof(T)) {}

    bool empty() const { return fifo.size() == 0; }
    bool full() const { return false; }
    std::size_t size() const { return fifo.size(); }

    T read() {
        const void *oldest = fifo.pop();
        return oldest ? *static_cast<const T *>(oldest) : T();
    }
    void write(const T &tail) { new (fifo.push()) T(tail); }
    void read(T &head) { head = read(); }
    bool read_nb(T &head) {
        const bool there = !empty();
        head = there ? read() : T();
        return there;
    }
    bool write_nb(const T &tail) {
        write(tail);
        return true;
    }
    void operator>>(T &head) { read(head); }
    void operator<<(const T &tail) { write(tail); }
};

} // namespace hls

#endif
