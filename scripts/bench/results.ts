/** What was measured, and what is made of it. */

/** One figure of one candidate in one case, with its value in each repetition. */
export interface Figure {
  /** "bulk", "requests", ... */
  scenario: string;
  /** "to kernel, 8 flows". */
  case: string;
  /** "Gbit/s". */
  unit: string;
  candidate: string;
  values: number[];
}

export interface Summary {
  median: number;
  min: number;
  max: number;
}

/** The middle one of `values`, of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function summarize({ values }: Figure): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** All figures of a run, in the order in which they were first recorded. */
export class Results {
  readonly figures: Figure[] = [];
  /** What was left out, and why. */
  readonly notes: string[] = [];

  record(scenario: string, name: string, candidate: string, values: Record<string, number>): void {
    for (const [unit, value] of Object.entries(values)) {
      const figure = this.find(scenario, name, unit, candidate);
      if (figure !== undefined) figure.values.push(value);
      else this.figures.push({ scenario, case: name, unit, candidate, values: [value] });
    }
  }

  find(scenario: string, name: string, unit: string, candidate: string): Figure | undefined {
    return this.figures.find((each) =>
      each.scenario === scenario && each.case === name && each.unit === unit && each.candidate === candidate
    );
  }

  /** The median; undefined if it was not measured. */
  median(scenario: string, name: string, unit: string, candidate: string): number | undefined {
    const figure = this.find(scenario, name, unit, candidate);
    return figure === undefined ? undefined : median(figure.values);
  }
}
