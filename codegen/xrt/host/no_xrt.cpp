// Takes the place of xrt_device.cpp where there is no XRT.

#include "device.h"

namespace calocc {

std::unique_ptr<Device> open_xrt(const Design &, const std::string &, unsigned) {
    throw Failure(CALOCC_NO_DEVICE, "this library was built without XRT");
}

} // namespace calocc
