#include "vips.h"

#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>
#elif defined(__APPLE__)
#include <dlfcn.h>
#include <mach-o/dyld.h>
#endif

#include <cstring>

#if defined(__linux__) || defined(__APPLE__)
namespace {

bool isLibvips(const char *path) {
  const char *slash = std::strrchr(path, '/');
  const char *name = slash == nullptr ? path : slash + 1;
  // sharp's own builds have both interfaces in libvips-cpp; one of the system brings libvips along.
  return std::strncmp(name, "libvips-cpp.", 12) == 0 || std::strncmp(name, "libvips.", 8) == 0;
}

void *openLoaded(const char *path) { return dlopen(path, RTLD_LAZY | RTLD_NOLOAD); }

#if defined(__linux__)
int visit(dl_phdr_info *info, std::size_t, void *found) {
  if (info->dlpi_name == nullptr || !isLibvips(info->dlpi_name)) return 0;
  *static_cast<void **>(found) = openLoaded(info->dlpi_name);
  return *static_cast<void **>(found) == nullptr ? 0 : 1;
}

void *findLibrary() {
  void *found = nullptr;
  dl_iterate_phdr(visit, &found);
  return found;
}
#else
void *findLibrary() {
  for (std::uint32_t i = 0; i < _dyld_image_count(); i++) {
    const char *path = _dyld_get_image_name(i);
    void *found = path != nullptr && isLibvips(path) ? openLoaded(path) : nullptr;
    if (found != nullptr) return found;
  }
  return nullptr;
}
#endif

template <typename Function>
bool find(void *library, const char *name, Function *function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

bool findAll(void *library, Vips *vips) {
  return find(library, "vips_version", &vips->version) &&
         find(library, "vips_jpegload_buffer", &vips->jpegloadBuffer) &&
         find(library, "vips_image_get_width", &vips->imageGetWidth) &&
         find(library, "vips_image_get_height", &vips->imageGetHeight) &&
         find(library, "vips_image_get_bands", &vips->imageGetBands) &&
         find(library, "vips_image_get_format", &vips->imageGetFormat) &&
         find(library, "vips_image_get_interpretation", &vips->imageGetInterpretation) &&
         find(library, "vips_image_get_orientation", &vips->imageGetOrientation) &&
         find(library, "vips_image_get_typeof", &vips->imageGetTypeof) &&
         find(library, "vips_region_new", &vips->regionNew) &&
         find(library, "vips_region_fetch", &vips->regionFetch) &&
         find(library, "g_object_unref", &vips->unref) &&
         find(library, "g_free", &vips->free) &&
         find(library, "vips_error_clear", &vips->errorClear) &&
         find(library, "vips_thread_shutdown", &vips->threadShutdown);
}

const Vips *load() {
  static Vips vips;
  void *library = findLibrary();
  if (library == nullptr || !findAll(library, &vips) || vips.version(0) != 8) return nullptr;
  return &vips;
}

}  // namespace

const Vips *findVips() {
  static const Vips *const vips = load();
  return vips;
}
#else
const Vips *findVips() { return nullptr; }
#endif
