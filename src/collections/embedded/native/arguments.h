#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "dot.h"

/** What comes from JavaScript, checked: each throws a TypeError or RangeError that names the argument. */
namespace arguments {

constexpr std::size_t MAX_DIMENSION = 65536;
constexpr std::size_t MAX_THREADS = 256;

inline std::uint64_t integer(const Napi::Value &value, const char *name, double min, double max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= min && number <= max) || number != std::floor(number)) {
    throw Napi::RangeError::New(
        value.Env(), std::string(name) + " must be an integer of " + std::to_string(static_cast<std::int64_t>(min)) +
                         " to " + std::to_string(static_cast<std::int64_t>(max)));
  }
  return static_cast<std::uint64_t>(number);
}

inline std::size_t threads(const Napi::Value &value) { return integer(value, "threads", 1, MAX_THREADS); }

template <typename Array>
Array typedArray(const Napi::Value &value, const char *name, napi_typedarray_type type, const char *typeName) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    throw Napi::TypeError::New(value.Env(), std::string(name) + " must be a " + typeName);
  }
  return value.As<Array>();
}

inline Napi::Float32Array floats(const Napi::Value &value, const char *name) {
  return typedArray<Napi::Float32Array>(value, name, napi_float32_array, "Float32Array");
}

inline Napi::Uint32Array uint32s(const Napi::Value &value, const char *name) {
  return typedArray<Napi::Uint32Array>(value, name, napi_uint32_array, "Uint32Array");
}

/** One or more vectors, every element finite. @returns how many */
inline std::size_t vectors(const Napi::Float32Array &value, const char *name, std::size_t dimension) {
  const std::size_t length = value.ElementLength();
  if (length % dimension != 0) {
    throw Napi::RangeError::New(value.Env(), std::string(name) + " must hold vectors of " + std::to_string(dimension) +
                                                 " elements, but has " + std::to_string(length));
  }
  const float *data = value.Data();
  for (std::size_t i = 0; i < length; i++) {
    if (!std::isfinite(data[i])) {
      throw Napi::RangeError::New(value.Env(), std::string(name) + " has a vector that is not finite");
    }
  }
  return length / dimension;
}

inline const float *vector(const Napi::Value &value, const char *name, std::size_t dimension) {
  const Napi::Float32Array array = floats(value, name);
  if (vectors(array, name, dimension) != 1) {
    throw Napi::RangeError::New(value.Env(), std::string(name) + " must be one vector of " +
                                                 std::to_string(dimension) + " elements");
  }
  return array.Data();
}

inline std::string text(const Napi::Value &value, const char *name) {
  if (!value.IsString()) throw Napi::TypeError::New(value.Env(), std::string(name) + " must be a text");
  return value.As<Napi::String>().Utf8Value();
}

inline Dot dot(const Napi::Value &value) {
  const Dot found = findDot(text(value, "instructions"));
  if (found == nullptr) {
    throw Napi::RangeError::New(value.Env(), "instructions must be among those that this processor supports");
  }
  return found;
}

}  // namespace arguments
