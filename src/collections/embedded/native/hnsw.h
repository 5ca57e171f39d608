#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "dot.h"
#include "hnswlib/hnswlib.h"

/** 1 minus the inner product, by the function that this processor runs fastest. */
class InnerProductDistance : public hnswlib::SpaceInterface<float> {
 public:
  InnerProductDistance(std::size_t dimension, Dot dot) : parameters_{dimension, dot} {}
  std::size_t get_data_size() override { return parameters_.dimension * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
  void *get_dist_func_param() override { return &parameters_; }

 private:
  struct Parameters {
    std::size_t dimension;
    Dot dot;
  };
  static float distance(const void *a, const void *b, const void *parameters) {
    const auto *p = static_cast<const Parameters *>(parameters);
    return 1.0f - p->dot(static_cast<const float *>(a), static_cast<const float *>(b), p->dimension);
  }
  Parameters parameters_;
};

using Hnsw = hnswlib::HierarchicalNSW<float>;

/** A graph with the space that it points to, and the shape that it was made with. */
struct HnswIndex {
  HnswIndex(std::size_t dimension, std::size_t m, std::size_t efConstruction, Dot dot, std::size_t capacity)
      : dimension(dimension), space(dimension, dot), hnsw(&space, capacity, m, efConstruction) {
    // The constructor leaves these as they come from malloc, and a failed load frees them.
    for (std::size_t i = 0; i < capacity; i++) hnsw.linkLists_[i] = nullptr;
    adviseHugePages();
  }
  void resize(std::size_t capacity) {
    hnsw.resizeIndex(capacity);
    adviseHugePages();
  }
  /** A search jumps about in this memory: with large pages it misses the page table less often. */
  void adviseHugePages();

  const std::size_t dimension;
  InnerProductDistance space;
  Hnsw hnsw;
};

/** Writes the graph in hnswlib's own format and waits until it is on disk. @throws std::runtime_error */
void writeGraphFile(const HnswIndex &index, const std::string &path);

/**
 * Reads a file in hnswlib's format into an index that is still empty, checking everything that a search or an insertion
 * follows. After an exception the index must not be used any more.
 *
 * @throws std::runtime_error
 */
std::unique_ptr<HnswIndex> readGraphFile(const std::string &path, std::size_t dimension, std::size_t m,
                                         std::size_t efConstruction, Dot dot, std::size_t minCapacity);
