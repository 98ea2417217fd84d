/** Money as people read it. Amounts are whole minor units; ISO 4217 says how many make a unit. */
export interface MoneyFormat {
  readonly currency: string;
  readonly minorDigits: number;
}

/** -123456 of EUR (2 digits) is "EUR -1,234.56". */
export function formatMoney(amount: number, { currency, minorDigits }: MoneyFormat): string {
  const digits = String(Math.abs(amount)).padStart(minorDigits + 1, '0');
  const units = digits.slice(0, digits.length - minorDigits);
  const minor = minorDigits === 0 ? '' : `.${digits.slice(-minorDigits)}`;
  const grouped = units.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${currency} ${amount < 0 ? '-' : ''}${grouped}${minor}`;
}
