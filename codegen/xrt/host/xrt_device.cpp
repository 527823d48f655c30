// A card, through XRT.

#include <experimental/xrt_xclbin.h>
#include <xrt/xrt_bo.h>
#include <xrt/xrt_device.h>
#include <xrt/xrt_kernel.h>

#include <fstream>
#include <vector>

#include "device.h"

namespace calocc {

namespace {

class XrtRun : public Run {
  public:
    XrtRun(const Design &design, const xrt::device &device, const xrt::kernel &kernel,
           unsigned events)
        : design_(design), run_(kernel) {
        int argument = 0;
        for (const Port &port : design.inputs)
            add(device, kernel, argument++, events * port.bytes());
        for (const Port &port : design.outputs)
            add(device, kernel, argument++, events * port.bytes() + word_bytes);
    }
    unsigned char *input(std::size_t k) override { return memory_[k]; }
    const unsigned char *output(std::size_t k) override {
        return memory_[design_.inputs.size() + k];
    }
    void execute(unsigned events, unsigned tag, std::chrono::milliseconds timeout) override {
        try {
            compute(events, tag, timeout);
        } catch (const Failure &) {
            throw;
        } catch (const std::exception &error) {
            throw Failure(CALOCC_KERNEL_ERROR, error.what());
        }
    }

  private:
    void add(const xrt::device &device, const xrt::kernel &kernel, int argument,
             std::size_t bytes) {
        buffers_.emplace_back(device, bytes, kernel.group_id(argument));
        memory_.push_back(buffers_.back().map<unsigned char *>());
        run_.set_arg(argument, buffers_.back());
    }
    void compute(unsigned events, unsigned tag, std::chrono::milliseconds timeout) {
        const std::size_t inputs = design_.inputs.size(), outputs = design_.outputs.size();
        for (std::size_t k = 0; k < inputs; k++)
            sync(XCL_BO_SYNC_BO_TO_DEVICE, k, events * design_.inputs[k].bytes());
        run_.set_arg(static_cast<int>(inputs + outputs), events);
        run_.set_arg(static_cast<int>(inputs + outputs) + 1, tag);
        run_.start();
        const ert_cmd_state state = run_.wait(timeout);
        if (state != ERT_CMD_STATE_COMPLETED)
            give_up(state);
        for (std::size_t k = 0; k < outputs; k++)
            sync(XCL_BO_SYNC_BO_FROM_DEVICE, inputs + k,
                 events * design_.outputs[k].bytes() + word_bytes);
    }
    void sync(xclBOSyncDirection direction, std::size_t k, std::size_t bytes) {
        if (bytes > 0)
            buffers_[k].sync(direction, bytes, 0);
    }
    [[noreturn]] void give_up(ert_cmd_state state) {
        // Until it ends or is stopped, wait() reports a command that is queued or running.
        if (state == ERT_CMD_STATE_TIMEOUT || state == ERT_CMD_STATE_RUNNING
            || state == ERT_CMD_STATE_NEW || state == ERT_CMD_STATE_QUEUED
            || state == ERT_CMD_STATE_SUBMITTED) {
            run_.abort();
            throw Failure(CALOCC_TIMEOUT, "the kernel did not end in time");
        }
        throw Failure(CALOCC_KERNEL_ERROR,
                      "the kernel ended in state " + std::to_string(static_cast<int>(state)));
    }

    const Design &design_;
    xrt::run run_;
    std::vector<xrt::bo> buffers_;
    std::vector<unsigned char *> memory_;
};

class XrtDevice : public Device {
  public:
    XrtDevice(const Design &design, const std::string &path, unsigned index) : design_(design) {
        const xrt::xclbin image = read(path);
        const std::vector<std::string> names = unit_names(image, path);
        try {
            device_ = xrt::device(index);
        } catch (const std::exception &error) {
            throw Failure(CALOCC_NO_DEVICE, "card " + std::to_string(index)
                                                + " cannot be opened: " + error.what());
        }
        try {
            const xrt::uuid id = device_.load_xclbin(image);
            for (const std::string &name : names)
                units_.emplace_back(device_, id, name);
        } catch (const std::exception &error) {
            throw Failure(CALOCC_WRONG_IMAGE, error.what());
        }
    }
    unsigned units() const override { return static_cast<unsigned>(units_.size()); }
    std::unique_ptr<Run> run(unsigned unit, unsigned events) override {
        try {
            return std::make_unique<XrtRun>(design_, device_, units_[unit], events);
        } catch (const std::exception &error) {
            throw Failure(CALOCC_KERNEL_ERROR, error.what());
        }
    }

  private:
    static xrt::xclbin read(const std::string &path) {
        if (!std::ifstream(path))
            throw Failure(CALOCC_WRONG_IMAGE, "there is no file " + path);
        try {
            return xrt::xclbin(path);
        } catch (const std::exception &error) {
            throw Failure(CALOCC_WRONG_IMAGE, path + ": " + error.what());
        }
    }
    // The compute units of our kernel, as xrt::kernel wants them named.
    std::vector<std::string> unit_names(const xrt::xclbin &image, const std::string &path) const {
        const std::string kernel = design_.name + "_kernel";
        std::vector<std::string> names;
        for (const auto &candidate : image.get_kernels()) {
            if (candidate.get_name() != kernel)
                continue;
            for (const auto &unit : candidate.get_cus()) {
                const std::string name = unit.get_name(); // kernel:unit
                names.push_back(kernel + ":{" + name.substr(name.find(':') + 1) + "}");
            }
        }
        if (names.empty())
            throw Failure(CALOCC_WRONG_IMAGE, path + " has no kernel " + kernel);
        return names;
    }

    const Design &design_;
    xrt::device device_;
    std::vector<xrt::kernel> units_;
};

} // namespace

std::unique_ptr<Device> open_xrt(const Design &design, const std::string &xclbin, unsigned device) {
    return std::make_unique<XrtDevice>(design, xclbin, device);
}

} // namespace calocc
