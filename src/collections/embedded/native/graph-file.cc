#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "hnsw.h"

#ifdef _WIN32
#include <io.h>
#define fsync _commit
#define fileno _fileno
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

void HnswIndex::adviseHugePages() {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t PAGE = 4096;
  const auto start = (reinterpret_cast<std::uintptr_t>(hnsw.data_level0_memory_) + PAGE - 1) & ~(PAGE - 1);
  const auto end = reinterpret_cast<std::uintptr_t>(hnsw.data_level0_memory_) + hnsw.max_elements_ * hnsw.size_data_per_element_;
  if (end > start + (std::size_t{1} << 24)) madvise(reinterpret_cast<void *>(start), end - start, MADV_HUGEPAGE);
#endif
}

namespace {

/** Levels beyond this do not occur: the chance of one more is at most one in two. */
constexpr std::size_t MAX_LEVEL = 64;

/** The header in the order of the file; `Count` is what hnswlib keeps as an atomic. */
struct Header {
  std::size_t offsetLevel0, maxElements, count, recordBytes, labelOffset, dataOffset;
  int maxLevel;
  hnswlib::tableint entryPoint;
  std::size_t maxM, maxM0, m;
  double mult;
  std::size_t efConstruction;
};

/** Calls `part(pointer, bytes)` for each field of the header, which the file holds without padding. */
template <typename Part>
void forEachField(Header &header, Part part) {
  part(&header.offsetLevel0, sizeof header.offsetLevel0);
  part(&header.maxElements, sizeof header.maxElements);
  part(&header.count, sizeof header.count);
  part(&header.recordBytes, sizeof header.recordBytes);
  part(&header.labelOffset, sizeof header.labelOffset);
  part(&header.dataOffset, sizeof header.dataOffset);
  part(&header.maxLevel, sizeof header.maxLevel);
  part(&header.entryPoint, sizeof header.entryPoint);
  part(&header.maxM, sizeof header.maxM);
  part(&header.maxM0, sizeof header.maxM0);
  part(&header.m, sizeof header.m);
  part(&header.mult, sizeof header.mult);
  part(&header.efConstruction, sizeof header.efConstruction);
}

class File {
 public:
  File(const std::string &path, const char *mode) : file_(std::fopen(path.c_str(), mode)) {
    if (file_ == nullptr) fail("cannot open the graph's file");
  }
  ~File() {
    if (file_ != nullptr) std::fclose(file_);
  }
  File(const File &) = delete;
  File &operator=(const File &) = delete;

  void write(const void *data, std::size_t bytes) {
    if (bytes > 0 && std::fwrite(data, 1, bytes, file_) != bytes) fail("cannot write the graph's file");
  }
  void read(void *data, std::size_t bytes) {
    if (bytes > 0 && std::fread(data, 1, bytes, file_) != bytes) {
      if (std::ferror(file_)) fail("cannot read the graph's file");
      throw std::runtime_error("the graph's file ends early");
    }
  }
  bool atEnd() { return std::fgetc(file_) == EOF; }
  void flushToDisk() {
    if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) fail("cannot write the graph's file");
  }
  std::size_t size() {
    if (std::fseek(file_, 0, SEEK_END) != 0) fail("cannot read the graph's file");
    const long end = std::ftell(file_);
    if (end < 0 || std::fseek(file_, 0, SEEK_SET) != 0) fail("cannot read the graph's file");
    return static_cast<std::size_t>(end);
  }

 private:
  [[noreturn]] static void fail(const char *what) {
    throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
  }
  std::FILE *file_;
};

void require(bool holds, const char *problem) {
  if (!holds) throw std::runtime_error(std::string("the graph's file is damaged or of another shape: ") + problem);
}

/** A list of links may only name elements that are there and reach up to its layer. */
void checkLinks(const Hnsw &hnsw, const hnswlib::linklistsizeint *list, std::size_t most, int layer) {
  const std::size_t count = hnsw.getListCount(const_cast<hnswlib::linklistsizeint *>(list));
  require(count <= most, "too many links");
  const auto *links = reinterpret_cast<const hnswlib::tableint *>(list + 1);
  for (std::size_t i = 0; i < count; i++) {
    require(links[i] < hnsw.cur_element_count && hnsw.element_levels_[links[i]] >= layer, "a link into nothing");
  }
}

void checkElements(const HnswIndex &index) {
  const Hnsw &hnsw = index.hnsw;
  for (hnswlib::tableint i = 0; i < hnsw.cur_element_count; i++) {
    checkLinks(hnsw, hnsw.get_linklist0(i), hnsw.maxM0_, 0);
    for (int layer = 1; layer <= hnsw.element_levels_[i]; layer++) {
      checkLinks(hnsw, hnsw.get_linklist(i, layer), hnsw.maxM_, layer);
    }
    const auto *vector = reinterpret_cast<const float *>(hnsw.getDataByInternalId(i));
    // The product with zero is not zero for what is not finite.
    float zero = 0;
    for (std::size_t j = 0; j < index.dimension; j++) zero += vector[j] * 0.0f;
    require(zero == 0, "a vector that is not finite");
  }
}

}  // namespace

void writeGraphFile(const HnswIndex &index, const std::string &path) {
  const Hnsw &h = index.hnsw;
  Header header{h.offsetLevel0_, h.max_elements_, h.cur_element_count, h.size_data_per_element_, h.label_offset_,
                h.offsetData_,   h.maxlevel_,     h.enterpoint_node_,  h.maxM_,                  h.maxM0_,
                h.M_,            h.mult_,         h.ef_construction_};
  File file(path, "wb");
  forEachField(header, [&](void *field, std::size_t bytes) { file.write(field, bytes); });
  file.write(h.data_level0_memory_, header.count * header.recordBytes);
  for (std::size_t i = 0; i < header.count; i++) {
    const auto bytes = static_cast<hnswlib::linklistsizeint>(h.element_levels_[i] * h.size_links_per_element_);
    file.write(&bytes, sizeof bytes);
    file.write(h.linkLists_[i], bytes);
  }
  file.flushToDisk();
}

std::unique_ptr<HnswIndex> readGraphFile(const std::string &path, std::size_t dimension, std::size_t m,
                                         std::size_t efConstruction, Dot dot, std::size_t minCapacity) {
  File file(path, "rb");
  const std::size_t fileBytes = file.size();
  Header header{};
  forEachField(header, [&](void *field, std::size_t bytes) { file.read(field, bytes); });
  const std::size_t recordBytes = m * 2 * sizeof(hnswlib::tableint) + sizeof(hnswlib::linklistsizeint) +
                                  dimension * sizeof(float) + sizeof(hnswlib::labeltype);
  require(header.recordBytes == recordBytes && header.m == m && header.maxM == m && header.maxM0 == 2 * m &&
              header.offsetLevel0 == 0 && header.labelOffset == recordBytes - sizeof(hnswlib::labeltype) &&
              header.dataOffset == header.labelOffset - dimension * sizeof(float),
          "its header is another graph's");
  require(header.count < fileBytes / recordBytes + 1, "it ends early");
  require(header.maxLevel >= -1 && header.maxLevel <= static_cast<int>(MAX_LEVEL), "its highest level");

  auto index =
      std::make_unique<HnswIndex>(dimension, m, efConstruction, dot, std::max<std::size_t>(header.count, minCapacity));
  Hnsw &h = index->hnsw;
  file.read(h.data_level0_memory_, header.count * recordBytes);
  // From here on the destructor frees what has been read of the upper levels.
  h.cur_element_count = header.count;
  for (hnswlib::tableint i = 0; i < header.count; i++) {
    hnswlib::linklistsizeint bytes;
    file.read(&bytes, sizeof bytes);
    const std::size_t levels = bytes / h.size_links_per_element_;
    require(bytes % h.size_links_per_element_ == 0 && static_cast<int>(levels) <= header.maxLevel, "an element's levels");
    if (levels > 0) {
      h.linkLists_[i] = static_cast<char *>(std::malloc(bytes));
      if (h.linkLists_[i] == nullptr) throw std::bad_alloc();
      h.element_levels_[i] = static_cast<int>(levels);
      file.read(h.linkLists_[i], bytes);
    }
    const hnswlib::labeltype label = h.getExternalLabel(i);
    require(label <= UINT32_MAX && h.label_lookup_.emplace(label, i).second, "a label twice or out of range");
    if (h.isMarkedDeleted(i)) h.num_deleted_ += 1;
  }
  require(file.atEnd(), "it goes on after its end");
  if (header.count == 0) return index;
  require(header.entryPoint < header.count && h.element_levels_[header.entryPoint] == header.maxLevel, "its entry point");
  h.enterpoint_node_ = header.entryPoint;
  h.maxlevel_ = header.maxLevel;
  checkElements(*index);
  return index;
}
