#include <napi.h>

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <cmath>
#include <string>

#include "decode.h"

namespace {

/** EXIF has 16 bits for an orientation, JPEG for a side; 2^24 is as far as a float counts. */
constexpr int MAX_SIDE = 65535;
constexpr int MAX_TARGET = 1 << 24;

int integer(const Napi::Object &plan, const char *name, int min, int max) {
  const Napi::Value value = plan.Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= min && number <= max) || number != std::floor(number)) {
    throw Napi::RangeError::New(plan.Env(), std::string(name) + " must be an integer of " + std::to_string(min) +
                                                " to " + std::to_string(max));
  }
  return static_cast<int>(number);
}

Napi::Uint8Array bytes(const Napi::Value &value, const char *name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(value.Env(), std::string(name) + " must be a Uint8Array");
  }
  return value.As<Napi::Uint8Array>();
}

DecodePlan readPlan(const Napi::Object &plan) {
  DecodePlan read;
  read.width = integer(plan, "width", 1, MAX_SIDE);
  read.height = integer(plan, "height", 1, MAX_SIDE);
  read.orientation = integer(plan, "orientation", 1, 8);
  read.shrink = integer(plan, "shrink", 1, 8);
  if ((read.shrink & (read.shrink - 1)) != 0 || read.shrink > std::min(read.width, read.height)) {
    throw Napi::RangeError::New(plan.Env(), "shrink must be 1, 2, 4 or 8 and leave a pixel");
  }
  read.targetWidth = integer(plan, "targetWidth", 1, MAX_TARGET);
  read.targetHeight = integer(plan, "targetHeight", 1, MAX_TARGET);
  read.left = integer(plan, "left", 0, read.targetWidth - 1);
  read.top = integer(plan, "top", 0, read.targetHeight - 1);
  read.windowWidth = integer(plan, "windowWidth", 1, read.targetWidth - read.left);
  read.windowHeight = integer(plan, "windowHeight", 1, read.targetHeight - read.top);
  read.timeout = std::chrono::milliseconds(integer(plan, "timeoutMs", 0, INT32_MAX));
  return read;
}

/**
 * Lets who wakes this thread go on: the main thread, which would otherwise lose its core here while all are busy. The
 * thread gets as much time as before, only not at once.
 */
void yieldToWaker() {
#if defined(__linux__)
  thread_local bool isDone = false;
  if (isDone) return;
  isDone = true;
  const sched_param none = {};
  // Where it is not allowed all goes on as it is.
  if (sched_getscheduler(0) == SCHED_OTHER) sched_setscheduler(0, SCHED_BATCH, &none);
#endif
}

/** Decodes on a thread of libuv's; both arrays are held until it is done. */
class Decoding : public Napi::AsyncWorker {
 public:
  Decoding(const Napi::Uint8Array &jpeg, Napi::Uint8Array pixels, const DecodePlan &plan,
           const DecodeTools &tools)
      : AsyncWorker(jpeg.Env(), "decode"),
        deferred(jpeg.Env()),
        jpegHeld(Napi::Persistent(jpeg)),
        pixelsHeld(Napi::Persistent(pixels)),
        jpeg({jpeg.Data(), jpeg.ElementLength()}),
        pixels(pixels.Data()),
        plan(plan),
        tools(tools) {}

  Napi::Promise promise() const { return deferred.Promise(); }

 protected:
  void Execute() override {
    yieldToWaker();
    outcome = decode(tools, jpeg, plan, pixels);
  }

  void OnOK() override {
    const char *const names[] = {"decoded", "decoded by libvips", "refused", "late"};
    deferred.Resolve(Napi::String::New(Env(), names[static_cast<int>(outcome)]));
  }

  void OnError(const Napi::Error &error) override { deferred.Reject(error.Value()); }

 private:
  const Napi::Promise::Deferred deferred;
  const Napi::Reference<Napi::Uint8Array> jpegHeld, pixelsHeld;
  const Jpeg jpeg;
  std::uint8_t *const pixels;
  const DecodePlan plan;
  const DecodeTools tools;
  Outcome outcome = Outcome::REFUSED;
};

Napi::Value decodeJpeg(const Napi::CallbackInfo &info) {
  const Napi::Env env = info.Env();
  if (findVips() == nullptr) throw Napi::Error::New(env, "libvips is not there");
  const Napi::Uint8Array jpeg = bytes(info[0], "jpeg");
  const Napi::Uint8Array pixels = bytes(info[1], "pixels");
  if (!info[2].IsObject()) throw Napi::TypeError::New(env, "the plan must be an object");
  const DecodePlan plan = readPlan(info[2].As<Napi::Object>());
  if (pixels.ElementLength() != std::size_t{3} * plan.windowWidth * plan.windowHeight) {
    throw Napi::RangeError::New(env, "pixels must have three bytes for each pixel of the window");
  }
  const std::string instructions = info[3].IsString() ? info[3].As<Napi::String>().Utf8Value() : "";
  const Weighing *const weighing = findWeighing(instructions);
  const PictureMath *const math = findPictureMath(instructions);
  if (weighing == nullptr || math == nullptr) {
    throw Napi::RangeError::New(env, "instructions must be among those that this processor supports");
  }
  auto *const decoding = new Decoding(jpeg, pixels, plan, {*findVips(), *math, *weighing});
  const Napi::Promise promise = decoding->promise();
  decoding->Queue();
  return promise;
}

Napi::Value instructions(const Napi::CallbackInfo &info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (const std::string &name : supportedWeighings()) names.Set(names.Length(), name);
  return names;
}

Napi::Value isAvailable(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), findVips() != nullptr);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("isAvailable", Napi::Function::New(env, isAvailable));
  exports.Set("supportedInstructions", Napi::Function::New(env, instructions));
  exports.Set("decodeJpeg", Napi::Function::New(env, decodeJpeg));
  return exports;
}

}  // namespace

NODE_API_MODULE(jpeg_decoder, init)
