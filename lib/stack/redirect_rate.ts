import type { IpAddress } from "../wire/address.ts";

/** Linux's redirect_load, redirect_number and redirect_silence. */
const LOAD_US = 20_000;
const MOST = 9;
const SILENCE_US = LOAD_US << (MOST + 1);
const MAX_HOSTS = 1024;

interface Told {
  count: number;
  atUs: number;
}

/**
 * How often a host is told of a better router: less and less often, and when it does not heed nine times, no more until it
 * was quiet for 20 s.
 */
export class RedirectRate {
  private readonly hosts = new Map<IpAddress, Told>();

  /** Whether `host` may be told now, which then counts. */
  take(host: IpAddress, now: number): boolean {
    let told = this.hosts.get(host);
    if (told === undefined) {
      if (this.hosts.size >= MAX_HOSTS) this.hosts.clear();
      told = { count: 0, atUs: -Infinity };
      this.hosts.set(host, told);
    }
    if (now - told.atUs > SILENCE_US) told.count = 0;
    if (told.count >= MOST) {
      told.atUs = now;
      return false;
    }
    if (told.count > 0 && now - told.atUs <= LOAD_US << told.count) return false;
    told.count++;
    told.atUs = now;
    return true;
  }
}
