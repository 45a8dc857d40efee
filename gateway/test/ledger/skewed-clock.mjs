// Loaded before the gateway (`node --import`): its clock goes wrong by `CLOCK_SKEW_MS`, as that of a badly kept machine.
const skewMs = Number(process.env.CLOCK_SKEW_MS);
const Right = Date;

globalThis.Date = class extends Right {
  constructor(...values) {
    if (values.length === 0) super(Right.now() + skewMs);
    else super(...values);
  }

  static now() {
    return Right.now() + skewMs;
  }
};
Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + skewMs });
