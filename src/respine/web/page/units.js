// Texts with units as study files hold them: "40 min", "0.5 mg/kg". The tables come from Python (files/units.py).

const PARTS = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s+.,-].*?)?\s*$/;

/**
 * Number and unit of a text; null where it is not of that form.
 * @param {string} text
 */
export function split(text) {
  const found = PARTS.exec(String(text));
  return found ? { number: Number(found[1]), unit: found[2] ?? "" } : null;
}

/** Texts read with the tables of a page. */
export class Units {
  /** @param {{hours: Record<string, number>, masses: Record<string, number>, moles: Record<string, number>}} tables */
  constructor(tables) {
    this.tables = tables;
  }

  /**
   * Hours of "40 min" or "7 d".
   * @param {string} text
   */
  hours(text) {
    const parts = split(text);
    const factor = parts && this.tables.hours[parts.unit];
    if (!parts || !factor) throw new Error(`"${text}" is no time; write it like 40 min, 24 h or 7 d`);
    return parts.number * factor;
  }

  /**
   * Canonical unit of an amount and the factor to it.
   * @param {string} unit
   * @returns {[string, number]}
   */
  canonical(unit) {
    const [base, ...rest] = unit.replace(/ /g, "").split("/");
    const per = rest.length ? `/${rest.join("/")}` : "";
    if (!per || per === "/kg") {
      for (const [table, name] of /** @type {[Record<string, number>, string][]} */ ([[this.tables.masses, "mg"], [this.tables.moles, "nmol"]])) {
        if (base in table) return [name + per, table[base]];
      }
    }
    return [unit, 1];
  }

  /**
   * Value of a dose in its canonical unit.
   * @param {string} text
   */
  amount(text) {
    const parts = split(text);
    if (!parts || !parts.unit) throw new Error(`"${text}" is no dose; write it like 0.5 mg/kg or 28 mg`);
    const [unit, factor] = this.canonical(parts.unit);
    return { value: parts.number * factor, unit };
  }
}

/**
 * A time as a person writes it: minutes under an hour, hours under two days, then days.
 * @param {number} hours
 */
export function timeText(hours) {
  const size = Math.abs(hours);
  if (size < 1e-9) return "0 h";
  if (size < 1) return `${plain(hours * 60)} min`;
  if (size < 48) return `${plain(hours)} h`;
  return `${plain(hours / 24)} d`;
}

/**
 * A number without a tail of digits.
 * @param {number} value
 * @param {number} digits
 */
export function plain(value, digits = 6) {
  return String(Number(value.toPrecision(digits)));
}

/**
 * Three digits that matter, never in powers of ten for everyday sizes.
 * @param {number} value
 * @param {number} digits
 */
export function shown(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(1).replace("-", "−");
  const decimals = size >= 100 ? 0 : size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(decimals, 6)).replace("-", "−");
}
