// What the host needs of a device: compute units, and runs of them on buffers. Everything else of
// the host library is the same for a card and for simulation.

#ifndef CALOCC_DEVICE_H_
#define CALOCC_DEVICE_H_

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "calocc.h"
#include "ports.h"

namespace calocc {

// A failure and its kind.
class Failure : public std::runtime_error {
  public:
    Failure(calocc_status status, const std::string &text)
        : std::runtime_error(text), status(status) {}
    calocc_status status;

    // Whether another run may succeed.
    bool is_passing() const {
        return status == CALOCC_KERNEL_ERROR || status == CALOCC_TIMEOUT
               || status == CALOCC_SHORT_READ;
    }
};

// Buffers for a number of events and their receipt, and the run that works on them. After a
// failure the device may still write to the buffers: such a run is thrown away, not used again.
class Run {
  public:
    virtual ~Run() = default;
    virtual unsigned char *input(std::size_t k) = 0;
    virtual const unsigned char *output(std::size_t k) = 0;

    // Bring the inputs to the device, compute, and bring the outputs and receipts back; throws
    // Failure. Runs of several threads on one compute unit take turns.
    virtual void execute(unsigned events, unsigned tag, std::chrono::milliseconds timeout) = 0;
};

class Device {
  public:
    virtual ~Device() = default;
    virtual unsigned units() const = 0;
    virtual std::unique_ptr<Run> run(unsigned unit, unsigned events) = 0;
};

// Both throw Failure: no device, wrong image.
std::unique_ptr<Device> open_csim(const Design &design, const std::string &library, unsigned units);
std::unique_ptr<Device> open_xrt(const Design &design, const std::string &xclbin, unsigned device);

} // namespace calocc

#endif
