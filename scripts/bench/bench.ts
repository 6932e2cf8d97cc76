/** One run: what the scenarios need of it. */
import type { Programs } from "./build.ts";
import type { Candidate } from "./candidates.ts";
import type { Contestant, Figures } from "./contestant.ts";
import type { Progress } from "./progress.ts";
import type { Results } from "./results.ts";

export interface Settings {
  repetitions: number;
  /** Of what takes long, and varies less: idle connections, growth. */
  fewRepetitions: number;
  /** How long each measurement takes, and how long what is measured runs before. */
  seconds: number;
  warmUp: number;
  quick: boolean;
}

/** A case of a scenario. */
export interface Case<T> {
  name: string;
  /** The figures by unit; null: this one cannot do it. */
  measure(subject: T): Promise<Figures | null>;
}

/** Something that is measured, under its candidate's name. */
export interface Subject<T> {
  candidate: string;
  value: T;
}

export interface Scenario {
  name: string;
  what: string;
  run(bench: Bench): Promise<void>;
}

export class Bench {
  constructor(
    readonly settings: Settings,
    readonly candidates: readonly Candidate[],
    readonly programs: Programs,
    readonly results: Results,
    readonly progress: Progress,
    readonly signal: AbortSignal,
  ) {}

  /** Something that whoever reads the results should know: what is left out, and why. */
  note(text: string): void {
    this.results.notes.push(text);
  }

  /** Starts all candidates, measures every case of each in turn, as often as is asked, and ends them. */
  async compare(
    scenario: string,
    cases: readonly Case<Contestant>[],
    repetitions = this.settings.repetitions,
    candidates = this.candidates,
  ): Promise<void> {
    await using stack = new AsyncDisposableStack();
    const subjects: Subject<Contestant>[] = [];
    for (const { name, start } of candidates) {
      this.progress.show(`${scenario}: starting ${name}`);
      const value = await this.attempt(`${scenario}, ${name}`, () => start(this.programs));
      if (value !== null) subjects.push({ candidate: name, value: stack.use(value) });
    }
    await this.interleave(scenario, subjects, cases, repetitions);
  }

  /** The same with each candidate started anew for each measurement, alone. */
  async compareFresh(
    scenario: string,
    candidates: readonly Candidate[],
    cases: readonly Case<Contestant>[],
    repetitions: number,
  ): Promise<void> {
    const subjects = candidates.map((value) => ({ candidate: value.name, value }));
    const fresh = cases.map(({ name, measure }): Case<Candidate> => ({
      name,
      measure: async (candidate) => {
        await using contestant = await candidate.start(this.programs);
        return contestant === null ? null : await measure(contestant);
      },
    }));
    await this.interleave(scenario, subjects, fresh, repetitions);
  }

  /** Every case, one subject after the other, all that again in the next repetition. */
  async interleave<T>(
    scenario: string,
    subjects: readonly Subject<T>[],
    cases: readonly Case<T>[],
    repetitions = this.settings.repetitions,
  ): Promise<void> {
    for (let repetition = 1; repetition <= repetitions; repetition++) {
      for (const each of cases) {
        for (const { candidate, value } of subjects) {
          this.signal.throwIfAborted();
          this.progress.show(`${scenario} ${repetition}/${repetitions}: ${each.name}, ${candidate}`);
          const figures = await this.attempt(
            `${scenario}, ${each.name}, ${candidate}`,
            () => each.measure(value),
          );
          if (figures !== null) this.results.record(scenario, each.name, candidate, figures);
        }
      }
    }
  }

  /** What fails is noted, and does not take what the others measured with it. */
  async attempt<T>(what: string, act: () => Promise<T | null> | null): Promise<T | null> {
    try {
      return await act();
    } catch (error) {
      this.signal.throwIfAborted();
      const why = error instanceof Error ? error.message : String(error);
      this.note(`${what} failed: ${why.trim().replaceAll("\n", " | ")}`);
      return null;
    }
  }
}
