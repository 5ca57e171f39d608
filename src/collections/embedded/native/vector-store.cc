#include "vector-store.h"

#include <algorithm>
#include <cstring>

#include "arguments.h"
#include "parallel.h"

namespace {

/** Bytes per chunk, at most. */
constexpr std::size_t CHUNK_BYTES = std::size_t{1} << 22;

/** Slots, at most: as many as there are labels. */
constexpr double MAX_SLOTS = 4294967296.0;

/** Rows that a thread takes at a time. */
constexpr std::size_t BLOCK_ROWS = 1024;

/** Multiplications below which a second thread costs more than it brings. */
constexpr std::size_t PARALLEL_FROM = std::size_t{1} << 22;

}  // namespace

Napi::Function VectorStore::define(Napi::Env env) {
  return DefineClass(env, "VectorStore",
                     {
                         InstanceAccessor<&VectorStore::capacity>("capacity"),
                         InstanceAccessor<&VectorStore::bytes>("bytes"),
                         InstanceMethod<&VectorStore::reserve>("reserve"),
                         InstanceMethod<&VectorStore::write>("write"),
                         InstanceMethod<&VectorStore::move>("move"),
                         InstanceMethod<&VectorStore::read>("read"),
                         InstanceMethod<&VectorStore::scan>("scan"),
                         InstanceMethod<&VectorStore::score>("score"),
                     });
}

VectorStore::VectorStore(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<VectorStore>(info),
      dimension_(arguments::integer(info[0], "dimension", 1, arguments::MAX_DIMENSION)),
      dot_(arguments::dot(info[1])) {
  while ((dimension_ * sizeof(float)) << (chunkBits_ + 1) <= CHUNK_BYTES) chunkBits_++;
}

Napi::Value VectorStore::capacity(const Napi::CallbackInfo &info) {
  return Napi::Number::New(info.Env(), static_cast<double>(slots()));
}

Napi::Value VectorStore::bytes(const Napi::CallbackInfo &info) {
  return Napi::Number::New(info.Env(), static_cast<double>(slots() * dimension_ * sizeof(float)));
}

void VectorStore::reserve(const Napi::CallbackInfo &info) {
  const std::size_t wanted = arguments::integer(info[0], "slots", 0, MAX_SLOTS);
  chunks_.reserve((wanted >> chunkBits_) + 1);
  while (slots() < wanted) {
    const std::size_t bytes = (dimension_ * sizeof(float)) << chunkBits_;
    std::unique_ptr<float, Free> chunk(static_cast<float *>(std::calloc(1, bytes)));
    if (!chunk) throw Napi::Error::New(info.Env(), "There is no memory for more vectors");
    chunks_.push_back(std::move(chunk));
  }
}

void VectorStore::write(const Napi::CallbackInfo &info) {
  float *target = row(slot(info[0], "slot"));
  std::memcpy(target, arguments::vector(info[1], "vector", dimension_), dimension_ * sizeof(float));
}

void VectorStore::move(const Napi::CallbackInfo &info) {
  const float *source = row(slot(info[0], "from"));
  std::memmove(row(slot(info[1], "to")), source, dimension_ * sizeof(float));
}

Napi::Value VectorStore::read(const Napi::CallbackInfo &info) {
  const float *source = row(slot(info[0], "slot"));
  Napi::Float32Array copy = Napi::Float32Array::New(info.Env(), dimension_);
  std::memcpy(copy.Data(), source, dimension_ * sizeof(float));
  return copy;
}

/** scan(query, from, scores, threads): the scores of the slots from `from` on, as many as `scores` has room for. */
void VectorStore::scan(const Napi::CallbackInfo &info) {
  const float *query = arguments::vector(info[0], "query", dimension_);
  const std::size_t from = arguments::integer(info[1], "from", 0, static_cast<double>(slots()));
  Napi::Float32Array scores = arguments::floats(info[2], "scores");
  const std::size_t count = scores.ElementLength();
  const std::size_t threads = arguments::threads(info[3]);
  if (count > slots() - from) throw Napi::RangeError::New(info.Env(), "There are not so many slots to scan");
  float *out = scores.Data();
  parallelFor((count + BLOCK_ROWS - 1) / BLOCK_ROWS, count * dimension_ < PARALLEL_FROM ? 1 : threads,
              [&](std::size_t block) {
                const std::size_t end = std::min(count, (block + 1) * BLOCK_ROWS);
                for (std::size_t i = block * BLOCK_ROWS; i < end; i++) out[i] = dot_(query, row(from + i), dimension_);
              });
}

/** score(query, slots, scores): the score of each of these slots. */
void VectorStore::score(const Napi::CallbackInfo &info) {
  const float *query = arguments::vector(info[0], "query", dimension_);
  const Napi::Uint32Array wanted = arguments::uint32s(info[1], "slots");
  Napi::Float32Array scores = arguments::floats(info[2], "scores");
  const std::size_t count = wanted.ElementLength();
  if (scores.ElementLength() < count) throw Napi::RangeError::New(info.Env(), "There is no room for the scores");
  const std::uint32_t *slot = wanted.Data();
  if (std::any_of(slot, slot + count, [&](std::uint32_t s) { return s >= slots(); })) {
    throw Napi::RangeError::New(info.Env(), "There is no such slot");
  }
  float *out = scores.Data();
  for (std::size_t i = 0; i < count; i++) out[i] = dot_(query, row(slot[i]), dimension_);
}

std::size_t VectorStore::slot(const Napi::Value &value, const char *name) const {
  if (chunks_.empty()) throw Napi::RangeError::New(value.Env(), "There is no slot yet");
  return arguments::integer(value, name, 0, static_cast<double>(slots() - 1));
}
