import { errorNames } from "./error-type.js";
import { BUCKETS, INSTRUMENTS, type Recorder } from "./instruments.js";

type Attributes = Readonly<Record<string, string | number>>;

interface Instrument {
  readonly unit: string;
  readonly description: string;
}

/** A meter of OpenTelemetry: the part that is used here. */
export interface MetricsMeter {
  createHistogram(
    name: string,
    options: Instrument & { advice?: { explicitBucketBoundaries?: number[] } },
  ): { record(value: number, attributes: Attributes): void };
  createUpDownCounter(
    name: string,
    options: Instrument,
  ): { add(value: number, attributes: Attributes): void };
  createCounter(name: string, options: Instrument): { add(value: number, attributes: Attributes): void };
}

const recorders = new WeakMap<MetricsMeter, Recorder>();

/** The meter's recorder; made on first use. */
export function meterRecorder(meter: MetricsMeter): Recorder {
  let recorder = recorders.get(meter);
  if (recorder === undefined) {
    recorder = newRecorder(meter);
    recorders.set(meter, recorder);
  }
  return recorder;
}

function newRecorder(meter: MetricsMeter): Recorder {
  const { duration, active, refused, cache } = INSTRUMENTS;
  const durations = meter.createHistogram(duration.name, {
    ...optionsOf(duration),
    advice: { explicitBucketBoundaries: [...BUCKETS] },
  });
  const running = meter.createUpDownCounter(active.name, optionsOf(active));
  const refusals = meter.createCounter(refused.name, optionsOf(refused));
  const cacheResults = meter.createCounter(cache.name, optionsOf(cache));

  return {
    needsScheme: true,
    nameOfError: errorNames(),
    begin({ method, scheme }) {
      running.add(1, { "http.request.method": method, "url.scheme": scheme! });
    },
    end({ method, scheme }, { seconds, route, status, errorType, refused, cache }) {
      running.add(-1, { "http.request.method": method, "url.scheme": scheme! });
      const attributes: Record<string, string | number> = {
        "http.request.method": method,
        "url.scheme": scheme!,
        "http.response.status_code": status,
      };
      if (route !== "") attributes["http.route"] = route;
      if (errorType !== "") attributes["error.type"] = errorType;
      durations.record(seconds, attributes);
      if (refused !== undefined) {
        refusals.add(1, { "portico.refused.by": refused.by, "portico.refused.reason": refused.reason });
      }
      if (cache !== undefined) cacheResults.add(1, { "portico.cache.result": cache });
    },
  };
}

function optionsOf({ unit, description }: Instrument): Instrument {
  return { unit, description };
}
