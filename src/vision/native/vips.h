#pragma once

#include <cstddef>
#include <cstdint>

// Only ever handed back to libvips.
struct _VipsImage;
struct _VipsRegion;
using VipsImage = _VipsImage;
using VipsRegion = _VipsRegion;

/**
 * The functions of libvips' C interface that decode a JPEG (https://www.libvips.org/API/8.18/). They are taken from
 * the library that sharp has loaded, so both decode by the same code, and no second copy is linked or configured.
 */
struct Vips {
  int (*version)(int flag);
  int (*jpegloadBuffer)(void *bytes, std::size_t length, VipsImage **out, ...);
  int (*imageGetWidth)(const VipsImage *image);
  int (*imageGetHeight)(const VipsImage *image);
  int (*imageGetBands)(const VipsImage *image);
  int (*imageGetFormat)(const VipsImage *image);
  int (*imageGetInterpretation)(const VipsImage *image);
  int (*imageGetOrientation)(VipsImage *image);
  /** A GType, which is as wide as a pointer; 0 when there is no such field. */
  std::size_t (*imageGetTypeof)(const VipsImage *image, const char *name);
  VipsRegion *(*regionNew)(VipsImage *image);
  /** @returns a copy to be freed by `free`, or null on an error */
  std::uint8_t *(*regionFetch)(VipsRegion *region, int left, int top, int width, int height, std::size_t *length);
  void (*unref)(void *object);
  void (*free)(void *memory);
  void (*errorClear)();
  void (*threadShutdown)();
};

/** @returns null when no libvips 8 is loaded in this process, or one without these functions */
const Vips *findVips();
