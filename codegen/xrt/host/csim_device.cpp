// A device in software: the kernel's C++, built by g++ into a library.

#include <dlfcn.h>

#include <mutex>
#include <vector>

#include "device.h"

namespace calocc {

namespace {

struct Library {
    void *handle = nullptr;
    void *kernel = nullptr;
    std::mutex mutex; // the kernel is one circuit, and loads its weights in its first call
    ~Library() {
        if (handle)
            dlclose(handle);
    }
};

class CsimRun : public Run {
  public:
    CsimRun(const Design &design, std::shared_ptr<Library> library, unsigned events)
        : library_(std::move(library)), inputs_(design.inputs.size()) {
        for (const Port &port : design.inputs)
            buffers_.emplace_back(events * port.words + 1);
        for (const Port &port : design.outputs)
            buffers_.emplace_back(events * port.words + 1);
        for (auto &buffer : buffers_)
            memory_.push_back(buffer.data());
    }
    unsigned char *input(std::size_t k) override { return bytes(k); }
    const unsigned char *output(std::size_t k) override { return bytes(inputs_ + k); }
    void execute(unsigned events, unsigned tag, std::chrono::milliseconds) override {
        const std::lock_guard<std::mutex> turn(library_->mutex);
        call_kernel(library_->kernel, memory_.data(), events, tag);
    }

  private:
    struct alignas(word_bytes) Word {
        unsigned char bytes[word_bytes];
    };
    unsigned char *bytes(std::size_t k) { return buffers_[k].data()->bytes; }

    std::shared_ptr<Library> library_;
    std::size_t inputs_;
    std::vector<std::vector<Word>> buffers_;
    std::vector<void *> memory_;
};

class CsimDevice : public Device {
  public:
    CsimDevice(const Design &design, const std::string &path, unsigned units)
        : design_(design), units_(units), library_(std::make_shared<Library>()) {
        library_->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!library_->handle)
            throw Failure(CALOCC_WRONG_IMAGE, std::string("it cannot be loaded: ") + dlerror());
        const std::string symbol = design.name + "_kernel";
        library_->kernel = dlsym(library_->handle, symbol.c_str());
        if (!library_->kernel)
            throw Failure(CALOCC_WRONG_IMAGE, path + " has no function " + symbol);
    }
    unsigned units() const override { return units_; }
    std::unique_ptr<Run> run(unsigned, unsigned events) override {
        return std::make_unique<CsimRun>(design_, library_, events);
    }

  private:
    const Design &design_;
    unsigned units_;
    std::shared_ptr<Library> library_;
};

} // namespace

std::unique_ptr<Device> open_csim(const Design &design, const std::string &library, unsigned units) {
    return std::make_unique<CsimDevice>(design, library, units);
}

} // namespace calocc
