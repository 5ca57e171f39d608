#pragma once

#include <napi.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "dot.h"

/** Vectors by slot, in chunks: growing adds chunks and copies nothing. */
class VectorStore : public Napi::ObjectWrap<VectorStore> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit VectorStore(const Napi::CallbackInfo &info);

  std::size_t dimension() const { return dimension_; }
  std::size_t slots() const { return chunks_.size() << chunkBits_; }
  float *row(std::size_t slot) const {
    return chunks_[slot >> chunkBits_].get() + (slot & ((std::size_t{1} << chunkBits_) - 1)) * dimension_;
  }

 private:
  struct Free {
    void operator()(float *memory) const { std::free(memory); }
  };

  Napi::Value capacity(const Napi::CallbackInfo &info);
  Napi::Value bytes(const Napi::CallbackInfo &info);
  void reserve(const Napi::CallbackInfo &info);
  void write(const Napi::CallbackInfo &info);
  void move(const Napi::CallbackInfo &info);
  Napi::Value read(const Napi::CallbackInfo &info);
  void scan(const Napi::CallbackInfo &info);
  void score(const Napi::CallbackInfo &info);
  std::size_t slot(const Napi::Value &value, const char *name) const;

  std::size_t dimension_ = 0;
  unsigned chunkBits_ = 0;
  Dot dot_ = nullptr;
  std::vector<std::unique_ptr<float, Free>> chunks_;
};
