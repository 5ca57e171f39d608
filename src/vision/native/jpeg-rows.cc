#include "jpeg-rows.h"

namespace {

// Of libvips' enumerations, whose values are part of its binary interface.
constexpr int ACCESS_SEQUENTIAL = 1;
constexpr int FAIL_ON_WARNING = 3;
constexpr int FORMAT_UCHAR = 0;
constexpr int INTERPRETATION_B_W = 1;
constexpr int INTERPRETATION_SRGB = 22;

}  // namespace

bool JpegRows::open(const JpegShape &shape) {
  // Nothing is written to the bytes: libvips takes them without const for its other uses of the type.
  void *const source = const_cast<std::uint8_t *>(bytes);
  if (vips.jpegloadBuffer(source, length, &image, "access", ACCESS_SEQUENTIAL, "fail_on", FAIL_ON_WARNING, "shrink",
                          shape.shrink, nullptr) != 0) {
    image = nullptr;
    return false;
  }
  columns = vips.imageGetWidth(image);
  rows = vips.imageGetHeight(image);
  bands = vips.imageGetBands(image);
  if (columns != shape.width / shape.shrink || rows != shape.height / shape.shrink) return false;
  if (vips.imageGetOrientation(image) != shape.orientation || !isPlain()) return false;
  region = vips.regionNew(image);
  return region != nullptr;
}

bool JpegRows::isPlain() const {
  const int interpretation = vips.imageGetInterpretation(image);
  return vips.imageGetFormat(image) == FORMAT_UCHAR &&
         ((bands == 3 && interpretation == INTERPRETATION_SRGB) ||
          (bands == 1 && interpretation == INTERPRETATION_B_W)) &&
         vips.imageGetTypeof(image, "icc-profile-data") == 0;
}

const std::uint8_t *JpegRows::read(int top, int count, const Part &) {
  vips.free(strip);
  std::size_t size = 0;
  strip = vips.regionFetch(region, 0, top, columns, count, &size);
  return strip != nullptr && size == static_cast<std::size_t>(columns) * bands * count ? strip : nullptr;
}

JpegRows::~JpegRows() {
  vips.free(strip);
  if (region != nullptr) vips.unref(region);
  if (image != nullptr) vips.unref(image);
  // Complaints, even those about an image that was decoded all the same, are kept for the whole process: whoever fails
  // next would find ours. sharp clears them after each image too.
  vips.errorClear();
  vips.threadShutdown();
}
