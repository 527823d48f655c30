// The emulator's compiled part: runs networks of steps on events.
//
// A thread takes some events through all steps before it takes the next ones, so that their values
// stay in its cache.

#include <atomic>
#include <system_error>
#include <thread>

#include "elements.h"
#include "moves.h"
#include "products.h"
#include "reductions.h"
#include "taps.h"

namespace {

enum StepKind : i32 { PRODUCTS, REDUCTION, ELEMENTS, TAP_SUM, MOVE };

struct Step {
    i64 kind;
    const void *body;
};

template <class F> auto with_body(const Step &step, F f) {
    switch (step.kind) {
    case PRODUCTS: return f(*static_cast<const Products *>(step.body));
    case REDUCTION: return f(*static_cast<const Reduction *>(step.body));
    case ELEMENTS: return f(*static_cast<const Elements *>(step.body));
    case TAP_SUM: return f(*static_cast<const TapSum *>(step.body));
    default: return f(*static_cast<const Move *>(step.body));
    }
}

i64 tasks(const Step &step, const Frame &frame) {
    return with_body(step, [&](const auto &body) { return body.tasks(frame); });
}

bool run(const Step &step, const Frame &frame, i64 task) {
    return with_body(step, [&](const auto &body) { return body.run(frame, task); });
}

// A value lies in an array of the caller's or in the arena.
struct Value {
    i64 bytes;    // per event
    i64 array;    // -1: in the arena
    i64 offset;   // in the arena, for one event
};

struct Network {
    const Step *steps;
    i64 count;
    const Value *values;
    i64 value_count;
    i64 arena;    // bytes per event
};

// Where the values of a block of events are.
class Places {
    std::vector<char *> places;
    std::vector<i64> bytes;

public:
    Places(const Network &network, char *const *arrays, char *arena, i64 first, i64 events) {
        for (i64 k = 0; k < network.value_count; k++) {
            const Value &v = network.values[k];
            places.push_back(v.array < 0 ? arena + v.offset * events
                                         : arrays[v.array] + v.bytes * first);
            bytes.push_back(v.bytes);
        }
    }
    Frame frame(i64 events) const { return {places.data(), bytes.data(), events}; }
};

// The events that a thread takes at once.
i64 block_of(const Network &network, i64 events, int threads) {
    const i64 cached = 512 * 1024, most = 64;
    const i64 fair = (events + threads - 1) / threads;
    return std::max<i64>(1, std::min({cached / std::max<i64>(network.arena, 1), most, fair}));
}

bool run_block(const Network &network, char *const *arrays, i64 first, i64 events) {
    char *arena = scratch<char, 0>(network.arena * events);
    const Places places(network, arrays, arena, first, events);
    const Frame frame = places.frame(events);
    bool ok = true;
    for (i64 k = 0; k < network.count; k++)
        for (i64 task = 0, count = tasks(network.steps[k], frame); task < count; task++)
            ok &= run(network.steps[k], frame, task);
    return ok;
}

// Threads are begun for each call: that costs some ten microseconds, and no thread waits actively
// for the others, which would take the processor from whoever else needs it.
bool run_blocks(const Network &network, char *const *arrays, i64 events, int threads) {
    const i64 size = block_of(network, events, threads), blocks = (events + size - 1) / size;
    std::atomic<bool> ok(true);
    std::atomic<i64> next(0);
    const auto work = [&] {
        for (i64 block; (block = next++) < blocks;) {
            const i64 first = block * size;
            if (!run_block(network, arrays, first, std::min(size, events - first)))
                ok = false;
        }
    };
    std::vector<std::thread> others;
    try {
        for (i64 k = 1; k < std::min<i64>(threads, blocks); k++)
            others.emplace_back(work);
    } catch (const std::system_error &) {
        // The system has no more threads: those that there are do the work.
    }
    work();
    for (std::thread &other : others)
        other.join();
    return ok;
}

} // namespace

extern "C" {

// Whether products of 8 bits are faster than those of 16.
bool calocc_has_quads() {
#if defined(CALOCC_QUADS)
    return true;
#else
    return false;
#endif
}

// Runs a network on the events of its arrays; false if a lookup left its table.
bool calocc_run(const Network *network, char *const *arrays, i64 events, int threads) {
    return run_blocks(*network, arrays, events, threads);
}

} // extern "C"
