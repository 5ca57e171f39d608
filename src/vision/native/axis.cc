#include "axis.h"

#include <algorithm>
#include <cmath>

namespace {

constexpr double REACH = 2;

double cubic(double x) {
  x = std::fabs(x);
  if (x < 1) return ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

std::int32_t toFixedPoint(double weight) {
  return static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << Axis::FRACTION_BITS));
}

}  // namespace

Axis::Axis(const AxisPlan &plan)
    : mirrored(plan.isMirrored),
      unscaled(plan.target == plan.source && plan.from == 0 && plan.to == static_cast<float>(plan.source)) {
  const double scale = static_cast<double>(plan.to - plan.from) / plan.target;
  const double widened = std::max(scale, 1.0);
  const double support = REACH * widened;
  const double narrowing = 1.0 / widened;
  std::vector<double> kernel;
  for (int i = plan.windowFrom; i < plan.windowFrom + plan.windowLength; i++) {
    int first = i, end = i + 1;
    kernel.assign(1, 1.0);
    if (!unscaled) {
      const double centre = plan.from + (i + 0.5) * scale;
      first = std::max(0, static_cast<int>(centre - support + 0.5));
      end = std::min(plan.source, static_cast<int>(centre + support + 0.5));
      kernel.resize(end - first);
      double sum = 0;
      for (int x = first; x < end; x++) sum += kernel[x - first] = cubic((x - centre + 0.5) * narrowing);
      if (sum != 0) {
        for (double &weight : kernel) weight /= sum;
      }
    }
    if (mirrored) {
      std::reverse(kernel.begin(), kernel.end());
      first = plan.source - end;
    }
    add(first, kernel);
  }
}

void Axis::add(int first, const std::vector<double> &kernel) {
  const int count = static_cast<int>(kernel.size());
  const int groups = (count + GROUP - 1) / GROUP;
  spans.push_back({first, count, groups, weights.size()});
  weights.resize(weights.size() + static_cast<std::size_t>(groups) * 2 * GROUP);
  std::int16_t *group = weights.data() + spans.back().at;
  for (int tap = 0; tap < count; tap++) {
    const std::int32_t fixed = toFixedPoint(kernel[tap]);
    const std::int32_t low = fixed & ((1 << LOW_BITS) - 1);
    std::int16_t *const place = group + tap / GROUP * 2 * GROUP + tap % GROUP;
    place[0] = static_cast<std::int16_t>((fixed - low) / (1 << LOW_BITS));
    place[GROUP] = static_cast<std::int16_t>(low);
  }
  const int begin = spans.size() == 1 ? first : std::min(needed.first, first);
  const int end = std::max(spans.size() == 1 ? 0 : needed.first + needed.count, first + count);
  needed = {begin, end - begin, 0, 0};
  most = std::max(most, count);
}
