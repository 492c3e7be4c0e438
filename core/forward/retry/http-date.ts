const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
const MONTH = MONTHS.replaceAll(" ", "|");
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;
const DAY_NAME = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";

/** IMF-fixdate, the obsolete date of RFC 850, and that of C's asctime. */
const FORMS = [
  String.raw`${DAY_NAME}, (?<day>\d\d) (?<month>${MONTH}) (?<year>\d{4}) ${TIME} GMT`,
  String.raw`(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\d\d)-(?<month>${MONTH})-(?<short>\d\d) ${TIME} GMT`,
  String.raw`${DAY_NAME} (?<month>${MONTH}) (?<day>[ \d]\d) ${TIME} (?<year>\d{4})`,
].map((form) => new RegExp(`^${form}$`));

/**
 * An HTTP-date in any of its three forms (RFC 9110 §5.6.7), as milliseconds since the Unix epoch; undefined where it is
 * none, or no day of the calendar. Whether the day of the week is that day's is not looked at.
 * @param now likewise; decides the century of a year of two digits.
 */
export function parseHttpDate(value: string, now: number): number | undefined {
  for (const form of FORMS) {
    const groups = form.exec(value)?.groups;
    if (groups !== undefined) return timeOf(groups, now);
  }
  return undefined;
}

function timeOf(groups: Readonly<Record<string, string | undefined>>, now: number): number | undefined {
  const [day, hour, minute, second] = [groups["day"], groups["hour"], groups["minute"], groups["second"]].map(
    Number,
  ) as [number, number, number, number];
  const month = MONTHS.indexOf(groups["month"]!) / 4;
  const year = groups["year"] === undefined ? fullYear(Number(groups["short"]), now) : Number(groups["year"]);
  // 60 is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const date = new Date(0);
  // Unlike `Date.UTC`, it takes the years before 100 for what they are.
  date.setUTCFullYear(year, month, day);
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return undefined;
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000;
}

/** What would be more than 50 years ahead is the most recent year in the past that ends so. */
function fullYear(short: number, now: number): number {
  const current = new Date(now).getUTCFullYear();
  const year = current - (current % 100) + short;
  return year > current + 50 ? year - 100 : year;
}
